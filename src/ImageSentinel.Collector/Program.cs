using ImageSentinel.Collector.Hosting;

return await new CollectorCommand().InvokeAsync(args).ConfigureAwait(false);
