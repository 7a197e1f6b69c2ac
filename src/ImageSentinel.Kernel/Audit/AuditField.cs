using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>One condition of an <see cref="AuditRule"/>.</summary>
/// <param name="Field"><c>AUDIT_ARCH</c>, <c>AUDIT_EXE</c> and so on.</param>
/// <param name="Operator"><c>AUDIT_EQUAL</c> and so on.</param>
/// <param name="Value">The number compared with; 0 for a field of text.</param>
/// <param name="Text">The text of a field of text, byte for byte as Latin-1; null for numbers.</param>
public sealed record AuditField(uint Field, uint Operator, uint Value, string? Text = null)
{
    /// <summary>True for the fields whose value is a text: the kernel finds its bytes behind the rule.</summary>
    public static bool IsText(uint field) => field is AuditConstants.AUDIT_FILTERKEY
        or AuditConstants.AUDIT_EXE
        or AuditConstants.AUDIT_WATCH
        or AuditConstants.AUDIT_DIR
        or (>= AuditConstants.AUDIT_SUBJ_USER and <= AuditConstants.AUDIT_SUBJ_CLR)
        or (>= AuditConstants.AUDIT_OBJ_USER and <= AuditConstants.AUDIT_OBJ_LEV_HIGH);
}
