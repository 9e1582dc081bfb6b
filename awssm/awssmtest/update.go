package awssmtest

import "time"

type updateInput struct {
	secretRef
	valueInput
	Description *string
	KmsKeyID    *string `json:"KmsKeyId"`
}

func (in *updateInput) validate() error {
	var c checks
	in.secretRef.check(&c)
	in.valueInput.check(&c)
	c.text("description", in.Description, 0, maxDescription)
	c.text("kmsKeyId", in.KmsKeyID, 0, maxKMSKey)
	if err := in.finish(c); err != nil {
		return err
	}
	return in.rules()
}

type updateOutput struct {
	ARN       string
	Name      string
	VersionID string `json:"VersionId,omitempty"`
}

// updateSecret differs from putSecretValue in that a repeated token is an error whatever the
// content: "If you call this operation with a ClientRequestToken that matches an existing
// version's VersionId, the operation results in an error."
func (s *Server) updateSecret(in *updateInput, now time.Time) (any, error) {
	sec, err := s.usable(*in.SecretID)
	if err != nil {
		return nil, err
	}
	id := *in.ClientRequestToken
	if sec.version(id) != nil {
		return nil, errTokenInUse(id, sec.arn)
	}
	out := updateOutput{ARN: sec.arn, Name: sec.name}
	if in.hasValue() {
		if err := sec.add(id, in.value(), nil, s.options.versionQuota, now); err != nil {
			return nil, err
		}
		out.VersionID = id
	}
	if in.Description != nil {
		sec.description = *in.Description
	}
	if in.KmsKeyID != nil {
		sec.setKMSKey(in.KmsKeyID)
		sec.reencrypt()
	}
	s.touch(sec, now)
	return out, nil
}

// reencrypt gives the key of the secret to the versions for which the service does so: those "with
// the staging labels AWSCURRENT, AWSPENDING, or AWSPREVIOUS".
func (sec *secret) reencrypt() {
	for _, label := range []string{stageCurrent, stagePending, stagePrevious} {
		if v := sec.version(sec.stages[label]); v != nil {
			v.kmsKey = sec.kmsKey
		}
	}
}
