package awssm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// classes files the service's error codes, which tell more than the HTTP status: that is 400 for most
// of them. Sources: API reference, common errors, and the errors of each operation.
var classes = map[string]error{
	"AccessDeniedException":               oauthstore.ErrAccessDenied,
	"AccessDenied":                        oauthstore.ErrAccessDenied,
	"UnrecognizedClientException":         oauthstore.ErrAccessDenied,
	"InvalidClientTokenId":                oauthstore.ErrAccessDenied,
	"MissingAuthenticationTokenException": oauthstore.ErrAccessDenied,
	"MissingAuthenticationToken":          oauthstore.ErrAccessDenied,
	"IncompleteSignature":                 oauthstore.ErrAccessDenied,
	"IncompleteSignatureException":        oauthstore.ErrAccessDenied,
	"InvalidSignatureException":           oauthstore.ErrAccessDenied,
	"SignatureDoesNotMatch":               oauthstore.ErrAccessDenied,
	"AuthFailure":                         oauthstore.ErrAccessDenied,
	"RequestExpired":                      oauthstore.ErrAccessDenied, // a clock that is wrong
	"ExpiredToken":                        oauthstore.ErrAccessDenied,
	"ExpiredTokenException":               oauthstore.ErrAccessDenied,
	"OptInRequired":                       oauthstore.ErrAccessDenied,
	"NotAuthorized":                       oauthstore.ErrAccessDenied,
	"DecryptionFailure":                   oauthstore.ErrAccessDenied, // KMS refused the key
	"EncryptionFailure":                   oauthstore.ErrAccessDenied,
	"ThrottlingException":                 oauthstore.ErrThrottled,
	"Throttling":                          oauthstore.ErrThrottled,
	"ThrottledException":                  oauthstore.ErrThrottled,
	"TooManyRequestsException":            oauthstore.ErrThrottled,
	"RequestLimitExceeded":                oauthstore.ErrThrottled,
	"RequestThrottled":                    oauthstore.ErrThrottled,
	"RequestThrottledException":           oauthstore.ErrThrottled,
	"SlowDown":                            oauthstore.ErrThrottled,
	"LimitExceededException":              oauthstore.ErrThrottled,
	"InternalServiceError":                oauthstore.ErrUnavailable,
	"InternalFailure":                     oauthstore.ErrUnavailable,
	"ServiceUnavailable":                  oauthstore.ErrUnavailable,
	"ServiceUnavailableException":         oauthstore.ErrUnavailable,
	"RequestTimeout":                      oauthstore.ErrUnavailable,
	"RequestTimeoutException":             oauthstore.ErrUnavailable,
}

// errQuota is the class of a quota that no wait within a call gets back.
var errQuota = fmt.Errorf("%w: %w", oauthstore.ErrThrottled, engine.ErrExhausted)

// fail is fault for calls about one secret, and where name is empty about several.
func (d *driver) fail(op, name string, quiet bool, err error) error {
	if name != "" {
		name = d.FullName(name)
	}
	return fault(op, name, quiet, err)
}

// fault files an error of the service. secret is empty for calls about several. quiet leaves the service's message out
// of the text, for calls that sent a token. What went wrong on the way to the service may be told of those too: the
// SDK's own errors do not quote a request. But an answer that could not be read may have brought a token.
func fault(op, secret string, quiet bool, err error) error {
	if err == nil {
		return nil
	}
	f := &engine.Fault{Backend: "awssm", Op: op, Secret: secret, Class: classOf(err), Err: err}
	var api smithy.APIError
	var half *smithy.DeserializationError
	switch {
	case errors.As(err, &api):
		f.Code = api.ErrorCode()
		if !quiet {
			f.Message = api.ErrorMessage()
		}
	case !errors.As(err, &half) && !strings.Contains(err.Error(), processOutput):
		f.Message = err.Error()
	}
	return f
}

// conflict files an error as one that a reread may settle.
func (d *driver) conflict(op, name string, err error) error {
	return d.failAs(engine.ErrConflict, op, name, err)
}

// blocked files an error as one that is over once the service has finished a deletion.
func (d *driver) blocked(op, name string, err error) error {
	return d.failAs(engine.ErrBlocked, op, name, err)
}

// failAs files an error of a call that may have sent a token under a class that the caller knows better.
func (d *driver) failAs(class error, op, name string, err error) error {
	f := d.fail(op, name, true, err).(*engine.Fault)
	f.Class = class
	return f
}

func classOf(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		if api.ErrorCode() == "LimitExceededException" {
			return errQuota // about 100 versions of one secret in 24 hours
		}
		if class, ok := classes[api.ErrorCode()]; ok {
			return class
		}
	}
	answered := false
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		switch status := response.HTTPStatusCode(); {
		case status == 429:
			return oauthstore.ErrThrottled
		case status == 401 || status == 403:
			return oauthstore.ErrAccessDenied
		case status >= 500:
			return oauthstore.ErrUnavailable
		case status >= 400:
			answered = true
		}
	}
	switch {
	case !answered && noAnswer(err):
		return oauthstore.ErrUnavailable
	case strings.Contains(err.Error(), noIdentity):
		return oauthstore.ErrAccessDenied
	}
	return nil
}

// What the SDK writes, since it has no types for it.
const (
	noIdentity    = "get identity: "  // there are no credentials (secretsmanager, resolveIdentityMiddleware)
	processOutput = "process output:" // text that may hold credentials follows (credentials/processcreds)
)

// noAnswer reports whether the request got no answer, or only a part of one.
func noAnswer(err error) bool {
	var network net.Error
	var canceled *aws.RequestCanceledError
	var send *smithyhttp.RequestSendError
	var half *smithy.DeserializationError
	return errors.As(err, &network) || errors.As(err, &canceled) || errors.As(err, &send) || errors.As(err, &half) ||
		errors.Is(err, context.DeadlineExceeded)
}

func isNotFound(err error) bool {
	var e *types.ResourceNotFoundException
	return errors.As(err, &e) || passedOn(err, "can't find the specified secret")
}

func isExists(err error) bool {
	var e *types.ResourceExistsException
	return errors.As(err, &e) || passedOn(err, "already in use for a version of secret")
}

// passedOn reports an error of moto as LocalStack passes it on, which leaves nothing of it but the text
// (localstack#10621).
func passedOn(err error, text string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "InternalError" && strings.Contains(api.ErrorMessage(), text)
}

// isInvalidRequest reports the error that a secret marked for deletion gives, among others.
func isInvalidRequest(err error) bool {
	var e *types.InvalidRequestException
	return errors.As(err, &e)
}
