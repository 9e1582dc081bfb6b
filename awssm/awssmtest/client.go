package awssmtest

import (
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// Client returns an official client that talks to the server, with credentials of no value and the
// SDK's default retries; optFns change that as with any client. Its endpoint is AWS's own, as in production, and its
// requests are led to the server on their way; with [Server.URL] as BaseEndpoint it is a client of an emulator.
func (s *Server) Client(optFns ...func(*secretsmanager.Options)) *secretsmanager.Client {
	o := secretsmanager.Options{
		Region:      Region,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", ""),
	}
	if s.options.noSocket {
		o.HTTPClient = direct{s}
	} else {
		o.HTTPClient = local{s, plainBodies{awshttp.NewBuildableClient()}}
	}
	return secretsmanager.New(o, optFns...)
}

// host is AWS's own in the Region.
const host = "secretsmanager." + Region + ".amazonaws.com"

// local leads requests for AWS to a server that listens.
type local struct {
	server *Server
	client plainBodies
}

// Do implements secretsmanager.HTTPClient.
func (c local) Do(r *http.Request) (*http.Response, error) {
	if r.URL.Host != host {
		return c.client.Do(r)
	}
	led := r.WithContext(r.Context()) // a copy
	led.URL = &url.URL{Scheme: "http", Host: strings.TrimPrefix(c.server.url, "http://"), Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	led.Host = r.URL.Host
	response, err := c.client.Do(led)
	if response != nil {
		response.Request = r
	}
	return response, err
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
	response = w.Result()
	response.Request = r
	return response, nil
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
