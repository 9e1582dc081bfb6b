package oauthotel

import (
	"net/http"
	"strconv"
)

// other is the value of error.type for what has no name of its own (semantic conventions).
const other = "_OTHER"

// knownCode is the service's code for an error, if the services document it. A header or a body could bring another code
// with each answer, or a code that is not UTF-8, for which exporters refuse a whole batch.
func knownCode(code string) string {
	if serviceCodes[code] || isHTTPStatus(code) {
		return code
	}
	return other
}

// isHTTPStatus reports whether the code is an HTTP status that has a name, as Vault's are.
func isHTTPStatus(code string) bool {
	n, err := strconv.Atoi(code)
	return err == nil && http.StatusText(n) != "" && strconv.Itoa(n) == code
}

// serviceCodes are the error codes of the services.
var serviceCodes = func() map[string]bool {
	all := make(map[string]bool)
	for _, codes := range [][]string{awsCodes, googleCodes} {
		for _, code := range codes {
			all[code] = true
		}
	}
	return all
}()

// awsCodes are the codes of Secrets Manager's operations, the common errors of AWS, and the codes of throttling and
// credentials elsewhere in AWS (API references of Secrets Manager, STS and KMS; retry.DefaultThrottleErrorCodes of the SDK).
var awsCodes = []string{
	"DecryptionFailure", "EncryptionFailure", "InternalServiceError", "InvalidNextTokenException", "InvalidParameterException",
	"InvalidRequestException", "LimitExceededException", "MalformedPolicyDocumentException", "PreconditionNotMetException",
	"PublicPolicyException", "ResourceExistsException", "ResourceNotFoundException",

	"AccessDenied", "AccessDeniedException", "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature",
	"IncompleteSignatureException", "InvalidClientTokenId", "InvalidSignatureException", "MissingAuthenticationToken",
	"MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired", "RequestExpired", "SignatureDoesNotMatch",
	"UnrecognizedClientException",

	"BandwidthLimitExceeded", "EC2ThrottledException", "PriorRequestNotComplete", "ProvisionedThroughputExceededException",
	"RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown", "Throttling", "ThrottledException",
	"ThrottlingException", "TooManyRequestsException", "TransactionInProgressException",

	"InternalError", "InternalFailure", "InternalServerError", "InvalidAction", "MalformedHttpRequestException",
	"NotImplemented", "NotImplementedException", "RequestAbortedException", "RequestEntityTooLargeException", "RequestTimeout",
	"RequestTimeoutException", "SerializationException", "ServiceUnavailable", "ServiceUnavailableException", "UnknownError",
	"UnknownOperation", "UnknownOperationException", "ValidationError", "ValidationException",
}

// googleCodes are the codes of google.rpc.Code, as gRPC for Go writes them.
var googleCodes = []string{
	"Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
	"ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss",
	"Unauthenticated",
}
