package awssmtest

import (
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// Client returns an official client that talks to the server, with credentials of no value and the
// SDK's default retries; optFns change that as with any client.
func (s *Server) Client(optFns ...func(*secretsmanager.Options)) *secretsmanager.Client {
	o := secretsmanager.Options{
		Region:       Region,
		BaseEndpoint: aws.String(s.url),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", ""),
	}
	if s.options.noSocket {
		o.HTTPClient = direct{s}
	} else {
		o.HTTPClient = plainBodies{awshttp.NewBuildableClient()}
	}
	return secretsmanager.New(o, optFns...)
}

// direct calls a server that does not listen.
type direct struct{ server *Server }

// Do implements secretsmanager.HTTPClient.
func (c direct) Do(r *http.Request) (response *http.Response, err error) {
	w := httptest.NewRecorder()
	defer func() {
		broken := recover()
		if broken != nil && broken != http.ErrAbortHandler {
			panic(broken)
		}
		if broken != nil || r.Context().Err() != nil {
			response, err = nil, &url.Error{Op: r.Method, URL: r.URL.String(), Err: cmp.Or(r.Context().Err(), io.ErrUnexpectedEOF)}
		}
	}()
	c.server.serve(w, r)
	return w.Result(), nil
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
