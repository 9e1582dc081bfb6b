package awssm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
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
	"SubscriptionRequiredException":       oauthstore.ErrAccessDenied,
	"NotAuthorized":                       oauthstore.ErrAccessDenied,
	"DecryptionFailure":                   oauthstore.ErrAccessDenied, // KMS refused the key
	"EncryptionFailure":                   oauthstore.ErrAccessDenied,
	"UnknownOperation":                    oauthstore.ErrMisconfigured, // the endpoint is another service's
	"UnknownOperationException":           oauthstore.ErrMisconfigured,
	"InvalidAction":                       oauthstore.ErrMisconfigured,
	"PreconditionNotMetException":         oauthstore.ErrMisconfigured,
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
// SDK's own errors do not quote a request. But an answer that could not be read may have brought a token, or be the
// page of a proxy.
func fault(op, secret string, quiet bool, err error) error {
	if err == nil {
		return nil
	}
	f := &engine.Fault{Backend: "awssm", Op: op, Secret: secret, Class: classOf(err), Err: err}
	var api smithy.APIError
	var half *smithy.DeserializationError
	switch {
	case errors.As(err, &api):
		f.Code = code(api)
		switch {
		case onReplica(api):
			f.Message = "the client's region has only a copy of the secret: all stores must write to the region of the secret itself"
		case !quiet:
			f.Message = engine.Redact(api.ErrorMessage(), sent(err)...)
		}
	case errors.As(err, &half):
		if status := statusOf(err); status > 0 {
			f.Code = strconv.Itoa(status)
		}
		f.Message = "the answer is cut off, or not one of Secrets Manager"
	case !strings.Contains(err.Error(), processOutput):
		f.Message = err.Error()
	}
	return f
}

var codeForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// code is the service's code for an error, or the SDK's for one without: what else a server calls so may hold anything.
func code(err smithy.APIError) string {
	if code := err.ErrorCode(); codeForm.MatchString(code) {
		return code
	}
	return "UnknownError"
}

// sent returns the credentials that the request carried which err is the answer to.
func sent(err error) []string {
	var response *awshttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil || response.Response.Response == nil || response.Response.Request == nil {
		return nil
	}
	header := response.Response.Request.Header
	return []string{header.Get("Authorization"), header.Get("X-Amz-Security-Token")}
}

// statusOf returns the status of the HTTP answer that err is about, 0 if there is none.
func statusOf(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.Response != nil && response.Response.Response != nil {
		return response.HTTPStatusCode()
	}
	return 0
}

// conflict files an error as one that a reread may settle.
func (d *driver) conflict(op, name string, err error) error {
	return d.failAs(engine.ErrConflict, op, name, err)
}

// blocked files an error as one that is over once the service has finished a deletion.
func (d *driver) blocked(op, name string, err error) error {
	return d.failAs(engine.ErrBlocked, op, name, err)
}

// unmade adds to the error of a CreateSecret what it says of the secret: that it was not made, or that it may be yet.
func unmade(err error) error {
	f := err.(*engine.Fault)
	switch {
	case refused(f.Err):
		f.Outcome = engine.ErrNotWritten
	case !answered(f.Err):
		f.Outcome = engine.ErrMayCome
	}
	return f
}

// refused reports whether a request has surely had no effect: it was not sent, or the service has refused it.
func refused(err error) bool {
	var connect *net.OpError
	if errors.As(err, &connect) && connect.Op == "dial" {
		return true
	}
	var api smithy.APIError
	var response *awshttp.ResponseError
	switch class := classOf(err); {
	case errors.Is(class, oauthstore.ErrUnavailable):
		return false
	case errors.As(err, &response):
		return response.HTTPStatusCode() < 500
	default:
		return errors.As(err, &api) && (class != nil || api.ErrorFault() == smithy.FaultClient)
	}
}

// answered reports whether the service has answered the request, so that it takes no effect later.
func answered(err error) bool {
	var api smithy.APIError
	var response *awshttp.ResponseError
	return errors.As(err, &api) || errors.As(err, &response)
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
		if onReplica(api) {
			return oauthstore.ErrMisconfigured
		}
	}
	var half *smithy.DeserializationError
	identity := strings.Contains(err.Error(), noIdentity) // the answer, if any, is then of a provider of credentials
	switch status := statusOf(err); {
	case status == http.StatusTooManyRequests:
		return oauthstore.ErrThrottled
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return oauthstore.ErrAccessDenied
	case status >= 500:
		return oauthstore.ErrUnavailable
	case status >= 400 && identity:
		return oauthstore.ErrAccessDenied
	case status == http.StatusRequestEntityTooLarge:
		return oauthstore.ErrRecordTooLarge
	case status >= 400 && errors.As(err, &half): // the page of something else
		return oauthstore.ErrMisconfigured
	case status >= 400:
		return nil
	}
	switch {
	case noAnswer(err):
		return oauthstore.ErrUnavailable
	case identity:
		return oauthstore.ErrAccessDenied
	case strings.Contains(err.Error(), badEndpoint):
		return oauthstore.ErrMisconfigured
	}
	return nil
}

// What the service and the SDK write, since they have no types for it.
const (
	replicaText   = "operation not permitted on a replica" // of several codes; AWS has written it in both cases
	badEndpoint   = "Invalid Configuration: "              // without a region, among others (secretsmanager, endpoint rules)
	noIdentity    = "get identity: "                       // there are no credentials (secretsmanager, resolveIdentityMiddleware)
	processOutput = "process output:"                      // text that may hold credentials follows (credentials/processcreds)
)

// onReplica reports whether a write was refused since the client's region has only a copy of the secret.
func onReplica(err smithy.APIError) bool {
	return strings.Contains(strings.ToLower(err.ErrorMessage()), replicaText)
}

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
