package awssmtest

import (
	"fmt"
	"net/http"
)

// An apiError is an error as the service sends it.
type apiError struct {
	Code    string `json:"__type"`
	Message string `json:"Message"`
	status  int
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

// clientError is for every error that is the caller's: the service sends 400 even for "not found".
func clientError(code, message string) *apiError {
	return &apiError{Code: code, Message: message, status: http.StatusBadRequest}
}

func errInternal() *apiError {
	return &apiError{
		Code:    "InternalServiceError",
		Message: "An error occurred on the server side.",
		status:  http.StatusInternalServerError,
	}
}

func errThrottling() error { return clientError("ThrottlingException", "Rate exceeded") }

func errAccessDenied(op string) error {
	return clientError("AccessDeniedException", fmt.Sprintf(
		"User: arn:aws:iam::%s:user/test is not authorized to perform: secretsmanager:%s"+
			" because no identity-based policy allows the secretsmanager:%[2]s action", Account, op))
}

func errMissingToken() error {
	return clientError("MissingAuthenticationTokenException", "Missing Authentication Token")
}

func errIncompleteSignature() error {
	return clientError("IncompleteSignatureException",
		"Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.")
}

func errSignatureScope() error {
	return clientError("InvalidSignatureException",
		"Credential should be scoped to a valid region and to service 'secretsmanager'.")
}

func errUnknownOperation() error {
	return clientError("UnknownOperationException", "The operation is not known, or not emulated.")
}

// errSerialization has a text without anything from the request, which may hold a secret.
func errSerialization() error {
	return clientError("SerializationException", "The request could not be decoded.")
}

func errInvalidParameter(message string) error {
	return clientError("InvalidParameterException", message)
}

func errInvalidRequest(message string) error {
	return clientError("InvalidRequestException", message)
}

func errInvalidNextToken() error {
	return clientError("InvalidNextTokenException", "The NextToken value is invalid.")
}

func errLimitExceeded() error {
	return clientError("LimitExceededException",
		"The request failed because it would exceed one of the Secrets Manager quotas.")
}

func errNoSecret() error {
	return clientError("ResourceNotFoundException",
		"Secrets Manager can't find the specified secret.")
}

func errNoVersion(id string) error {
	return clientError("ResourceNotFoundException",
		"Secrets Manager can't find the specified secret value for VersionId: "+id)
}

func errNoStage(label string) error {
	return clientError("ResourceNotFoundException",
		"Secrets Manager can't find the specified secret value for staging label: "+label)
}

func errSecretExists(name string) error {
	return clientError("ResourceExistsException",
		"The operation failed because the secret "+name+" already exists.")
}

func errTokenInUse(token, arn string) error {
	return clientError("ResourceExistsException", fmt.Sprintf(
		"You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.",
		token, arn))
}
