package gcpsmtest

import (
	"regexp"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/proto"
)

// kmsKey is the name of a Cloud KMS key; its location is the first group.
var kmsKey = regexp.MustCompile(`^projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+$`)

// checkReplication checks where a secret is kept and under which keys: a global one needs a policy,
// which never changes, a regional one takes none.
func checkReplication(meta, old *pb.Secret, n name) error {
	r := meta.GetReplication()
	switch {
	case n.location != "" && r != nil:
		return invalid("Field [secret.replication] must not be set for a regional Secret.")
	case n.location != "":
		return checkKey(meta.GetCustomerManagedEncryption(), n.location)
	case meta.GetCustomerManagedEncryption() != nil:
		return invalid("Field [secret.customer_managed_encryption] is for regional Secrets only.")
	case r.GetReplication() == nil:
		return required("secret.replication")
	case old != nil && !samePolicy(old.GetReplication(), r):
		return invalid("The replication policy cannot be changed after the Secret has been created.")
	case r.GetAutomatic() != nil:
		return checkKey(r.GetAutomatic().GetCustomerManagedEncryption(), "global")
	}
	return checkReplicas(r.GetUserManaged().GetReplicas())
}

func checkReplicas(replicas []*pb.Replication_UserManaged_Replica) error {
	if len(replicas) == 0 {
		return required("secret.replication.user_managed.replicas")
	}
	seen := make(map[string]bool)
	for _, r := range replicas {
		if r.GetLocation() == "" || seen[r.GetLocation()] {
			return invalid("Replica location [%s] is empty or given twice.", r.GetLocation())
		}
		seen[r.GetLocation()] = true
		if err := checkKey(r.GetCustomerManagedEncryption(), r.GetLocation()); err != nil {
			return err
		}
	}
	return nil
}

// checkKey checks that an encryption key, if there is one, is in the location of what it encrypts.
func checkKey(e *pb.CustomerManagedEncryption, location string) error {
	if e == nil {
		return nil
	}
	parts := kmsKey.FindStringSubmatch(e.GetKmsKeyName())
	if parts == nil || parts[1] != location {
		return invalid("Cloud KMS key [%s] is not the name of a key in %s.", e.GetKmsKeyName(), location)
	}
	return nil
}

// samePolicy reports whether a and b differ in their encryption keys at most.
func samePolicy(a, b *pb.Replication) bool {
	return proto.Equal(withoutKeys(a), withoutKeys(b))
}

func withoutKeys(r *pb.Replication) *pb.Replication {
	r = proto.CloneOf(r)
	if a := r.GetAutomatic(); a != nil {
		a.CustomerManagedEncryption = nil
	}
	for _, replica := range r.GetUserManaged().GetReplicas() {
		replica.CustomerManagedEncryption = nil
	}
	return r
}

// replicationStatus returns how a new version of a secret with policy r is replicated, nil for a
// regional secret.
func replicationStatus(r *pb.Replication) *pb.ReplicationStatus {
	if a := r.GetAutomatic(); a != nil {
		return &pb.ReplicationStatus{ReplicationStatus: &pb.ReplicationStatus_Automatic{
			Automatic: &pb.ReplicationStatus_AutomaticStatus{
				CustomerManagedEncryption: keyStatus(a.GetCustomerManagedEncryption()),
			},
		}}
	}
	if r.GetUserManaged() == nil {
		return nil
	}
	managed := &pb.ReplicationStatus_UserManagedStatus{}
	for _, replica := range r.GetUserManaged().GetReplicas() {
		managed.Replicas = append(managed.Replicas, &pb.ReplicationStatus_UserManagedStatus_ReplicaStatus{
			Location:                  replica.GetLocation(),
			CustomerManagedEncryption: keyStatus(replica.GetCustomerManagedEncryption()),
		})
	}
	return &pb.ReplicationStatus{ReplicationStatus: &pb.ReplicationStatus_UserManaged{UserManaged: managed}}
}

// keyStatus returns the key version that a new version is encrypted with: the first, since no key
// is ever rotated here.
func keyStatus(e *pb.CustomerManagedEncryption) *pb.CustomerManagedEncryptionStatus {
	if e == nil {
		return nil
	}
	return &pb.CustomerManagedEncryptionStatus{KmsKeyVersionName: e.GetKmsKeyName() + "/versions/1"}
}
