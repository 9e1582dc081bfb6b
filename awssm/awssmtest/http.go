package awssmtest

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/oauthstore/oauthstore/testserver"
)

// maxBody is far above the largest valid request, one of 64 KiB and its escapes.
const maxBody = 1 << 20

// A call is a request as it came over the wire. Where it was no proper request, err says why.
type call struct {
	op   string
	body []byte
	err  error
}

// An operation carries out one call.
type operation func(call) (any, error)

func (s *Server) table() map[string]operation {
	return map[string]operation{
		"BatchGetSecretValue":          handle(s, secretsmanager.BatchGetSecretValueInput{}, s.batchGetSecretValue),
		"CreateSecret":                 handle(s, secretsmanager.CreateSecretInput{}, s.createSecret),
		"DeleteSecret":                 handle(s, secretsmanager.DeleteSecretInput{}, s.deleteSecret),
		"DescribeSecret":               handle(s, secretsmanager.DescribeSecretInput{}, s.describeSecret),
		"GetSecretValue":               handle(s, secretsmanager.GetSecretValueInput{}, s.getSecretValue),
		"ListSecrets":                  handle(s, secretsmanager.ListSecretsInput{}, s.listSecrets),
		"ListSecretVersionIds":         handle(s, secretsmanager.ListSecretVersionIdsInput{}, s.listSecretVersionIDs),
		"PutSecretValue":               handle(s, secretsmanager.PutSecretValueInput{}, s.putSecretValue),
		"RemoveRegionsFromReplication": handle(s, secretsmanager.RemoveRegionsFromReplicationInput{}, s.removeRegionsFromReplication),
		"ReplicateSecretToRegions":     handle(s, secretsmanager.ReplicateSecretToRegionsInput{}, s.replicateSecretToRegions),
		"RestoreSecret":                handle(s, secretsmanager.RestoreSecretInput{}, s.restoreSecret),
		"TagResource":                  handle(s, secretsmanager.TagResourceInput{}, s.tagResource),
		"UntagResource":                handle(s, secretsmanager.UntagResourceInput{}, s.untagResource),
		"UpdateSecret":                 handle(s, secretsmanager.UpdateSecretInput{}, s.updateSecret),
		"UpdateSecretVersionStage":     handle(s, secretsmanager.UpdateSecretVersionStageInput{}, s.updateSecretVersionStage),
	}
}

// handle makes an operation of run, which is called with valid input, the time, and the lock held. sdk is the
// input as the SDK has it.
func handle[T any, In interface {
	*T
	validate() error
}](s *Server, sdk any, run func(In, time.Time) (any, error)) operation {
	return func(c call) (any, error) {
		in := In(new(T))
		if err := decode(c.body, reflect.TypeOf(sdk), in); err != nil {
			return nil, err
		}
		if err := in.validate(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		now := s.Now()
		s.purge(now)
		s.use(c.op)
		return run(in, now)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.handlers.Done()
	c := read(w, r)
	kind := testserver.Begin(r.Context(), s.Control, s.logged(c))
	var out any
	var err error
	if kind.TakesEffect() {
		out, err = s.run(c)
	}
	testserver.End(r.Context(), s.Control, kind)
	answer(w, out, cmp.Or(faultError(kind, c), err))
}

func read(w http.ResponseWriter, r *http.Request) call {
	target := r.Header.Get("X-Amz-Target")
	op, ok := strings.CutPrefix(target, "secretsmanager.")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	c := call{op: op, body: body}
	switch {
	case err != nil:
		c.err = errSerialization()
	case !ok || r.Method != http.MethodPost || r.Header.Get("Content-Type") != contentType:
		c.err = errUnknownOperation()
	default:
		c.err = checkAuthorization(r.Header.Get("Authorization"))
	}
	return c
}

// checkAuthorization looks at the form of a version 4 signature and at its scope.
func checkAuthorization(header string) error {
	switch {
	case header == "":
		return errMissingToken()
	case !strings.HasPrefix(header, "AWS4-HMAC-SHA256 "),
		!strings.Contains(header, "SignedHeaders="),
		!strings.Contains(header, "Signature="):
		return errIncompleteSignature()
	case !strings.Contains(header, "/"+Region+"/secretsmanager/aws4_request"):
		return errSignatureScope()
	}
	return nil
}

// logged tells the log which secrets c is about, and nothing else of what it carries.
func (s *Server) logged(c call) testserver.Request {
	var in struct {
		Name, SecretID string
		SecretIDList   []string `json:"SecretIdList"`
	}
	// What does not decode is refused later; the log takes what it gets.
	_ = json.Unmarshal(c.body, &in)
	r := testserver.Request{Op: c.op, Secret: s.shortName(cmp.Or(in.SecretID, in.Name))}
	for _, id := range in.SecretIDList {
		r.Secrets = append(r.Secrets, s.shortName(id))
	}
	return r
}

func (s *Server) run(c call) (any, error) {
	if c.err != nil {
		return nil, c.err
	}
	op, ok := s.operations[c.op]
	if !ok {
		return nil, errUnknownOperation()
	}
	return op(c)
}

// faultError returns what the client is told when its request meets kind, nil where that is the
// result of the request. It does not return where the client is told nothing.
func faultError(kind testserver.Kind, c call) error {
	switch kind {
	case testserver.FailBefore, testserver.FailAfter:
		return errInternal()
	case testserver.Throttle:
		return errThrottling()
	case testserver.Deny:
		return errAccessDenied(c.op)
	case testserver.DropAfter, testserver.Hang, testserver.HangAfter:
		panic(http.ErrAbortHandler) // breaks the connection
	}
	return nil
}

// decode reads a request's parameters into in. The service's InvalidParameterException stands for "the
// parameter name or value is invalid", hence the refusal of names that are not known; those that only the
// SDK knows change nothing here.
func decode(body []byte, sdk reflect.Type, in any) error {
	for {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		err := d.Decode(in)
		if err == nil {
			return nil
		}
		quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field ")
		if !ok {
			return errSerialization()
		}
		if body, ok = without(body, strings.Trim(quoted, `"`), sdk); !ok {
			return errInvalidParameter("The parameter " + quoted + " is not supported.")
		}
	}
}

// without takes a parameter off body. It reports false where that is none of the SDK's, or not there.
func without(body []byte, name string, sdk reflect.Type) ([]byte, bool) {
	var parameters map[string]json.RawMessage
	if err := json.Unmarshal(body, &parameters); err != nil {
		return nil, false
	}
	field, known := sdk.FieldByName(name) // the protocol names its members as the SDK does
	_, there := parameters[name]
	delete(parameters, name)
	rest, err := json.Marshal(parameters)
	return rest, known && field.IsExported() && there && err == nil
}

const contentType = "application/x-amz-json-1.1"

func answer(w http.ResponseWriter, out any, err error) {
	status := http.StatusOK
	if err != nil {
		e := errInternal()
		errors.As(err, &e)
		out, status = e, e.status
	}
	if out == nil {
		out = struct{}{}
	}
	body, err := json.Marshal(out)
	if err != nil {
		panic(fmt.Sprintf("awssmtest: %T cannot be encoded: %v", out, err))
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-RequestId", rand.Text())
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
