package awssmtest

import "time"

type putInput struct {
	secretRef
	valueInput
	VersionStages *[]string
}

func (in *putInput) validate() error {
	var c checks
	in.secretRef.check(&c)
	in.valueInput.check(&c)
	if in.VersionStages != nil {
		c.size("", "versionStages", len(*in.VersionStages), 1, maxStages)
		for _, label := range *in.VersionStages {
			c.text("versionStages", &label, 1, maxStage)
		}
	}
	if err := in.finish(c); err != nil {
		return err
	}
	if err := in.rules(); err != nil {
		return err
	}
	if !in.hasValue() {
		return errInvalidRequest("You must provide either SecretString or SecretBinary.")
	}
	return nil
}

type putOutput struct {
	ARN           string
	Name          string
	VersionID     string   `json:"VersionId"`
	VersionStages []string `json:",omitempty"`
}

func (s *Server) putSecretValue(in *putInput, now time.Time) (any, error) {
	sec, err := s.usable(*in.SecretID)
	if err != nil {
		return nil, err
	}
	s.renumber(&in.valueInput)
	id := *in.ClientRequestToken
	if v := sec.version(id); v != nil && s.options.has(OverwrittenVersions) {
		v.value = in.value()
		if err := sec.attach(id, []string{stageCurrent}, now); err != nil {
			return nil, err
		}
		s.touch(sec, now)
		return newPutOutput(sec, id), nil
	}
	if v := sec.version(id); v != nil {
		return s.putAgain(sec, v, in)
	}
	var labels []string
	if in.VersionStages != nil {
		labels = *in.VersionStages
	}
	if err := sec.add(id, in.value(), labels, s.options.versionQuota, now); err != nil {
		return nil, err
	}
	s.touch(sec, now)
	return newPutOutput(sec, id), nil
}

// putAgain answers a request whose token is a version already: "if you specify the same secret
// data, the operation succeeds but does nothing. However, if the secret data is different, then
// the operation fails because you can't modify an existing version."
func (s *Server) putAgain(sec *secret, v *version, in *putInput) (any, error) {
	if !v.value.equal(in.value()) && !s.options.has(IgnoredContent) {
		return nil, errTokenInUse(v.id, sec.arn)
	}
	return newPutOutput(sec, v.id), nil
}

func newPutOutput(sec *secret, id string) putOutput {
	return putOutput{ARN: sec.arn, Name: sec.name, VersionID: id, VersionStages: sec.labels(id)}
}
