package gcpsmtest

import (
	"fmt"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

func invalidName(s string) error {
	return invalid("Resource ID [%s] is not in a valid format.", s)
}

func required(field string) error {
	return invalid("Field [%s] is required.", field)
}

func alreadyExists(n name) error {
	return status.Errorf(codes.AlreadyExists, "Secret [%s] already exists.", n.full())
}

func secretNotFound(n name) error {
	return status.Errorf(codes.NotFound, "Secret [%s] not found.", n.full())
}

func noVersions(n name) error {
	return status.Errorf(codes.NotFound, "Secret [%s] not found or has no versions.", n.full())
}

func versionNotFound(n name) error {
	return status.Errorf(codes.NotFound, "Secret Version [%s/versions/%s] not found.", n.full(), n.version)
}

func wrongState(v *pb.SecretVersion) error {
	return status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in %s state.", v.GetName(), v.GetState())
}

func alreadyDestroyed() error {
	return status.Error(codes.FailedPrecondition, "SecretVersion.state is already DESTROYED.")
}

func alreadyScheduled() error {
	return status.Error(codes.FailedPrecondition, "SecretVersion is already scheduled for DESTRUCTION.")
}

func wrongEtag() error {
	return status.Error(codes.FailedPrecondition, "The etag provided in the request does not match the resource's "+
		"current etag. Please retry the whole read-modify-write with exponential backoff.")
}

func internal() error {
	return status.Error(codes.Internal, "Internal error encountered.")
}

func connectionReset() error {
	return status.Error(codes.Unavailable, "error reading from server: connection reset by peer")
}

func closing() error {
	return status.Error(codes.Unavailable, "the server is closing")
}

func denied(permission, resource string) error {
	return status.Errorf(codes.PermissionDenied,
		"Permission '%s' denied for resource '%s' (or it may not exist).", permission, resource)
}

// quotaExceeded is the answer of Google's quota system, with the details from which
// *apierror.APIError has its Reason.
func quotaExceeded(metric, unit, project string) error {
	st := status.Newf(codes.ResourceExhausted, "Quota exceeded for quota metric '%s' and limit '%s per %s' "+
		"of service 'secretmanager.googleapis.com' for consumer 'project_number:%s'.", metric, metric, unit, project)
	detailed, err := st.WithDetails(&errdetails.ErrorInfo{
		Reason: "RATE_LIMIT_EXCEEDED",
		Domain: "googleapis.com",
		Metadata: map[string]string{
			"service":  "secretmanager.googleapis.com",
			"consumer": "projects/" + project,
		},
	})
	if err != nil {
		panic(fmt.Sprintf("gcpsmtest: details of a quota error: %v", err)) // only for a status that is OK
	}
	return detailed.Err()
}
