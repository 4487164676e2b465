using Fabric.Server.Node;

return (int)await Application.RunAsync(args);
