namespace ImageSentinel.Collector.Store;

/// <summary>A client speaks for a host that belongs to another certificate.</summary>
/// <remarks>The first certificate to speak for a host owns its records, so that one taken host cannot rewrite the
/// history of the others. The subject is compared: a renewed certificate keeps it.</remarks>
internal sealed class IdentityException(string message) : Exception(message);
