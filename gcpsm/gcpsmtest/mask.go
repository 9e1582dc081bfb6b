package gcpsmtest

import (
	"slices"
	"strings"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// updatable are the fields of a secret that UpdateSecret changes; of replication only the
// encryption keys.
var updatable = []string{
	"annotations", "customer_managed_encryption", "expire_time", "labels", "replication", "rotation",
	"topics", "ttl", "version_aliases", "version_destroy_ttl",
}

// checkMask checks that a mask names at least one field, and only fields that exist and may change.
func checkMask(mask *fieldmaskpb.FieldMask) error {
	if len(mask.GetPaths()) == 0 {
		return required("update_mask")
	}
	for _, path := range mask.GetPaths() {
		field, _, _ := strings.Cut(path, ".")
		if !slices.Contains(updatable, field) || !isPath(path) {
			return invalid("The field [%s] in the update_mask does not exist or cannot be updated.", path)
		}
	}
	return nil
}

// isPath reports whether a mask may contain path. A mask reaches into messages, not into maps and
// lists.
func isPath(path string) bool {
	desc := (&pb.Secret{}).ProtoReflect().Descriptor()
	for _, segment := range strings.Split(path, ".") {
		if desc == nil {
			return false
		}
		field := desc.Fields().ByName(protoreflect.Name(segment))
		if field == nil {
			return false
		}
		desc = nil
		if field.Cardinality() != protoreflect.Repeated {
			desc = field.Message()
		}
	}
	return true
}

// masked returns a copy of old that has the masked fields of sent.
func masked(old, sent *pb.Secret, mask *fieldmaskpb.FieldMask) *pb.Secret {
	next := proto.CloneOf(old)
	sent = proto.CloneOf(sent) // next must not share fields with a request
	for _, path := range mask.GetPaths() {
		copyField(next.ProtoReflect(), sent.ProtoReflect(), strings.Split(path, "."))
	}
	return next
}

func copyField(dst, src protoreflect.Message, path []string) {
	field := dst.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if len(path) > 1 {
		copyField(dst.Mutable(field).Message(), src.Get(field).Message(), path[1:])
		return
	}
	clearField(dst, field)
	if src.Has(field) {
		dst.Set(field, src.Get(field))
	}
}

// clearField clears a field, and with it the others of its oneof: a mask with ttl and no ttl removes
// the expire_time that the ttl has become.
func clearField(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	if group := field.ContainingOneof(); group != nil {
		if set := m.WhichOneof(group); set != nil {
			field = set
		}
	}
	m.Clear(field)
}
