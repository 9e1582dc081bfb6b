package awssmtest

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// Client returns an official client that talks to the server, with credentials of no value and the
// SDK's default retries; optFns change that as with any client.
func (s *Server) Client(optFns ...func(*secretsmanager.Options)) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{
		Region:       Region,
		BaseEndpoint: aws.String(s.url),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", ""),
		HTTPClient:   plainBodies{awshttp.NewBuildableClient()},
	}, optFns...)
}

// plainBodies keeps answers from breaking off. The SDK closes a request's body as soon as the head of the
// answer is there (smithy-go, ClientHandler.Handle). Where net/http then asks the body to WriteTo the
// connection once more, which happens on a busy machine, it gets io.EOF, takes that for a failed write and
// closes the connection under what is still to come. A body that can only be read does not do that.
type plainBodies struct{ client *awshttp.BuildableClient }

// Do implements secretsmanager.HTTPClient.
func (c plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return c.client.Do(r)
	}
	plain := r.WithContext(r.Context()) // a copy
	plain.Body = struct {
		io.Reader
		io.Closer
	}{r.Body, r.Body}
	return c.client.Do(plain)
}
