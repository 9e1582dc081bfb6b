package gcpsmtest

import (
	"strings"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// DisableKey disables a Cloud KMS key, given by its resource name, in all its versions. From then on
// versions of secrets that are encrypted with it, in one of their locations at least, can be neither
// accessed nor added: FailedPrecondition, though their state is ENABLED. The service may notice only after
// minutes, the server does at once.
func (s *Server) DisableKey(name string) { s.setKey(name, true) }

// EnableKey enables a key again.
func (s *Server) EnableKey(name string) { s.setKey(name, false) }

func (s *Server) setKey(name string, disabled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[name] = disabled
}

// checkKeys refuses what needs a disabled key.
func (s *Server) checkKeys(v *pb.SecretVersion) error {
	r := v.GetReplicationStatus()
	used := []*pb.CustomerManagedEncryptionStatus{v.GetCustomerManagedEncryption(), r.GetAutomatic().GetCustomerManagedEncryption()}
	for _, replica := range r.GetUserManaged().GetReplicas() {
		used = append(used, replica.GetCustomerManagedEncryption())
	}
	for _, u := range used {
		key, _, _ := strings.Cut(u.GetKmsKeyVersionName(), "/versions/")
		if s.keys[key] {
			return keyDisabled(key + "/cryptoKeyVersions/1")
		}
	}
	return nil
}

// keyDisabled is Secret Manager's error with that of Cloud KMS in it.
func keyDisabled(version string) error {
	return status.Errorf(codes.FailedPrecondition, "Failed precondition on Cloud KMS resource [%s]. "+
		"KMS error message: [%s is not enabled, current state is: DISABLED.]", version, version)
}
