package awssmtest

import (
	"crypto/rand"
	"strings"
	"time"
)

// A valueInput is the part of a request that carries a value and becomes a version.
type valueInput struct {
	ClientRequestToken *string
	SecretBinary       *[]byte
	SecretString       *string
}

func (in *valueInput) check(c *checks) {
	c.text("clientRequestToken", in.ClientRequestToken, minToken, maxToken)
	if in.SecretBinary != nil {
		c.size("", "secretBinary", len(*in.SecretBinary), 1, maxValue)
	}
	if in.SecretString != nil {
		c.size("", "secretString", len(*in.SecretString), 1, maxValue)
	}
}

// rules are those that the API model does not express.
func (in *valueInput) rules() error {
	if in.ClientRequestToken == nil {
		return errInvalidRequest("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	}
	if in.SecretBinary != nil && in.SecretString != nil {
		return errInvalidParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	}
	return nil
}

// renumber gives the version that a request makes an id of the server's own, with that quirk.
func (s *Server) renumber(in *valueInput) {
	if s.options.has(OwnVersionIDs) {
		id := strings.ToLower(rand.Text()[:8] + "-" + rand.Text()[:24])
		in.ClientRequestToken = &id
	}
}

func (in *valueInput) hasValue() bool { return in.SecretBinary != nil || in.SecretString != nil }

func (in *valueInput) value() value {
	if in.SecretBinary != nil {
		return value{data: *in.SecretBinary, binary: true}
	}
	return value{data: []byte(*in.SecretString)}
}

type createInput struct {
	valueInput
	Name                        *string
	Description                 *string
	KmsKeyID                    *string `json:"KmsKeyId"`
	Tags                        []tag
	AddReplicaRegions           *[]replicaInput
	ForceOverwriteReplicaSecret bool
}

func (in *createInput) validate() error {
	var c checks
	c.required("name", in.Name != nil)
	c.text("name", in.Name, 1, maxName)
	c.text("description", in.Description, 0, maxDescription)
	c.text("kmsKeyId", in.KmsKeyID, 0, maxKMSKey)
	in.check(&c)
	checkTags(&c, in.Tags)
	if in.AddReplicaRegions != nil {
		checkReplicas(&c, *in.AddReplicaRegions)
	}
	if err := c.err(); err != nil {
		return err
	}
	if err := checkName(*in.Name); err != nil {
		return err
	}
	return in.rules()
}

type createOutput struct {
	ARN               string
	Name              string
	VersionID         string          `json:"VersionId,omitempty"`
	ReplicationStatus []replicaOutput `json:",omitempty"`
}

func (s *Server) createSecret(in *createInput, now time.Time) (any, error) {
	if len(in.Tags) > 0 {
		s.use("TagResource")
	}
	if in.AddReplicaRegions != nil {
		s.use("ReplicateSecretToRegions")
	}
	s.renumber(&in.valueInput)
	if old, ok := s.secrets[*in.Name]; ok {
		if s.options.has(TakenNames) && old.deletion == nil && in.hasValue() && old.version(*in.ClientRequestToken) == nil {
			return s.createOver(old, in, now)
		}
		return createAgain(old, in)
	}
	sec, err := s.newSecret(in, now)
	if err != nil {
		return nil, err
	}
	out := createOutput{ARN: sec.arn, Name: sec.name}
	if in.AddReplicaRegions != nil {
		if out.ReplicationStatus, err = sec.replicate(*in.AddReplicaRegions); err != nil {
			return nil, err
		}
	}
	if in.hasValue() {
		out.VersionID = *in.ClientRequestToken
	}
	s.secrets[sec.name] = sec
	s.touch(sec, now)
	return out, nil
}

func (s *Server) newSecret(in *createInput, now time.Time) (*secret, error) {
	sec := &secret{
		name:    *in.Name,
		arn:     newARN(*in.Name),
		created: now,
		tags:    make(map[string]string),
		stages:  make(map[string]string),
	}
	if in.Description != nil {
		sec.description = *in.Description
	}
	sec.setKMSKey(in.KmsKeyID)
	if err := sec.tag(in.Tags); err != nil {
		return nil, err
	}
	if !in.hasValue() {
		return sec, nil
	}
	return sec, sec.add(*in.ClientRequestToken, in.value(), nil, s.options.versionQuota, now)
}

// createOver makes a version of a secret that exists, with that quirk.
func (s *Server) createOver(old *secret, in *createInput, now time.Time) (any, error) {
	if err := old.add(*in.ClientRequestToken, in.value(), nil, s.options.versionQuota, now); err != nil {
		return nil, err
	}
	s.touch(old, now)
	return createOutput{ARN: old.arn, Name: old.name, VersionID: *in.ClientRequestToken}, nil
}

// createAgain answers a request for a name that is taken: "If a version with this value already
// exists and the version SecretString and SecretBinary values are the same as those in the
// request, then the request is ignored." While a forced deletion is under way the service has two texts, both of
// which Terraform waits out: here they take turns.
func createAgain(old *secret, in *createInput) (any, error) {
	if d := old.deletion; d != nil {
		d.met++
		if d.forced && d.met%2 == 0 {
			return nil, errInvalidRequest("You can't perform this operation on the secret because it was deleted.")
		}
		return nil, errInvalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if in.hasValue() {
		v := old.version(*in.ClientRequestToken)
		if v != nil && v.value.equal(in.value()) {
			return createOutput{ARN: old.arn, Name: old.name, VersionID: v.id}, nil
		}
	}
	return nil, errSecretExists(old.name)
}

// setKMSKey takes the managed key's alias and an empty string for the managed key.
func (sec *secret) setKMSKey(key *string) {
	switch {
	case key == nil:
	case *key == "alias/aws/secretsmanager":
		sec.kmsKey = ""
	default:
		sec.kmsKey = *key
	}
}
