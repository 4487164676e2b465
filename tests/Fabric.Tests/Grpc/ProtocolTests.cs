using System.Net;
using System.Net.Http.Headers;
using Fabric.Tests.Grpc.Contracts;
using Google.Protobuf;

namespace Fabric.Tests.Grpc;

/// <summary>What goes over the wire, seen with a plain HTTP/2 client.</summary>
internal sealed class ProtocolTests : EchoFixture
{
    private readonly HttpMessageInvoker _http = new(new SocketsHttpHandler { UseProxy = false });

    [OneTimeTearDown]
    public void DisposeOfClient() => _http.Dispose();

    [Test]
    public async Task A_response_has_the_parts_that_the_specification_names()
    {
        using var response = await SendAsync(Frame(new EchoRequest { Text = "x" }));
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(response.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/grpc"));
        Assert.That(await response.Content.ReadAsByteArrayAsync(), Is.EqualTo(new byte[] { 0, 0, 0, 0, 3, 10, 1, (byte)'x' }));
        Assert.That(response.TrailingHeaders.GetValues("grpc-status"), Is.EqualTo(new[] { "0" }));
        Assert.That(response.TrailingHeaders.GetValues("said"), Is.EqualTo(new[] { "yes" }));
    }

    [Test]
    public async Task A_message_in_a_status_is_percent_encoded()
    {
        using var response = await SendAsync(Frame(new EchoRequest { Text = "50 % é", FailWith = 5 }));
        Assert.That(response.Headers.GetValues("grpc-status"), Is.EqualTo(new[] { "5" }));
        Assert.That(response.Headers.GetValues("grpc-message"), Is.EqualTo(new[] { "50 %25 %C3%A9" }));
    }

    [Test]
    public async Task The_server_keeps_the_deadline_of_a_client_that_does_not()
    {
        using var response = await SendAsync(Frame(new EchoRequest { Times = -1 }), ("grpc-timeout", "50m"));
        Assert.That(response.Headers.GetValues("grpc-status"), Is.EqualTo(new[] { "4" }));
    }

    [Test]
    public async Task An_encoding_that_is_not_supported_is_refused_with_those_that_are()
    {
        using var response = await SendAsync(Frame(new EchoRequest()), ("grpc-encoding", "gzip"));
        Assert.That(response.Headers.GetValues("grpc-status"), Is.EqualTo(new[] { "12" }));
        Assert.That(response.Headers.GetValues("grpc-accept-encoding"), Is.EqualTo(new[] { "identity" }));
    }

    [TestCase(new byte[] { 1, 0, 0, 0, 1, 7 }, TestName = "A_compressed_message_without_an_encoding_is_refused")]
    [TestCase(new byte[] { 9, 0, 0, 0, 0 }, TestName = "A_malformed_prefix_is_refused")]
    [TestCase(new byte[] { 0, 0, 0, 0, 2, 255, 255 }, TestName = "Bytes_that_are_no_message_are_refused")]
    [TestCase(new byte[] { 0, 0, 0, 0, 9, 1 }, TestName = "A_request_that_ends_inside_a_message_is_refused")]
    [TestCase(new byte[] { 0, 0 }, TestName = "A_request_that_ends_inside_a_prefix_is_refused")]
    [TestCase(new byte[] { }, TestName = "A_request_without_a_message_is_refused")]
    [TestCase(new byte[] { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, TestName = "A_second_message_in_a_unary_request_is_refused")]
    public async Task Bad_request(byte[] body)
    {
        using var response = await SendAsync(body);
        Assert.That(response.Headers.GetValues("grpc-status"), Is.EqualTo(new[] { "13" }));
        Assert.DoesNotThrowAsync(() => Channel.UnaryAsync(EchoMethods.Say, new EchoRequest()), "the server is unharmed");
    }

    [TestCase("soon")]
    [TestCase("123456789m")]
    [TestCase("5x")]
    public async Task A_malformed_timeout_is_refused(string text)
    {
        using var response = await SendAsync(Frame(new EchoRequest()), ("grpc-timeout", text));
        Assert.That(response.Headers.GetValues("grpc-status"), Is.EqualTo(new[] { "13" }));
    }

    [TestCase("application/json", HttpStatusCode.UnsupportedMediaType)]
    [TestCase("application/grpc-web", HttpStatusCode.UnsupportedMediaType)]
    [TestCase("application/grpc+proto", HttpStatusCode.OK)]
    public async Task A_content_type_other_than_grpc_is_refused(string contentType, HttpStatusCode expected)
    {
        using var response = await SendAsync(Frame(new EchoRequest()), contentType: contentType);
        Assert.That(response.StatusCode, Is.EqualTo(expected));
    }

    [Test]
    public async Task A_get_is_refused()
    {
        using var request = Request(HttpMethod.Get);
        using var response = await _http.SendAsync(request, CancellationToken.None);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.MethodNotAllowed));
    }

    private static byte[] Frame(EchoRequest request)
    {
        var message = request.ToByteArray();
        return [0, 0, 0, (byte)(message.Length >> 8), (byte)message.Length, .. message];
    }

    private HttpRequestMessage Request(HttpMethod method) => new(method, $"http://127.0.0.1:{Server.Port}{EchoMethods.Say.Path}")
    {
        Version = HttpVersion.Version20,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    private async Task<HttpResponseMessage> SendAsync(
        byte[] body, (string Key, string Value)? header = null, string contentType = "application/grpc")
    {
        using var request = Request(HttpMethod.Post);
        request.Content = new ByteArrayContent(body);
        request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        if (header is { } extra)
        {
            request.Headers.TryAddWithoutValidation(extra.Key, extra.Value);
        }

        var response = await _http.SendAsync(request, CancellationToken.None).WaitAsync(Limit);
        await response.Content.LoadIntoBufferAsync();
        return response;
    }
}
