package awssmtest

import "time"

type getInput struct {
	secretRef
	VersionID    *string `json:"VersionId"`
	VersionStage *string
}

func (in *getInput) validate() error {
	var c checks
	in.check(&c)
	c.text("versionId", in.VersionID, minToken, maxToken)
	c.text("versionStage", in.VersionStage, 1, maxStage)
	return in.finish(c)
}

// A valueOutput is the answer of GetSecretValue and an entry in that of BatchGetSecretValue.
type valueOutput struct {
	ARN           string
	Name          string
	VersionID     string   `json:"VersionId"`
	SecretString  *string  `json:",omitempty"`
	SecretBinary  []byte   `json:",omitempty"`
	VersionStages []string `json:",omitempty"`
	CreatedDate   *epoch
}

func (s *Server) getSecretValue(in *getInput, now time.Time) (any, error) {
	return s.value(in, now)
}

func (s *Server) value(in *getInput, now time.Time) (*valueOutput, error) {
	sec, err := s.usable(*in.SecretID)
	if err != nil {
		return nil, err
	}
	v, labels, err := s.choose(sec, in, now)
	if err != nil {
		return nil, err
	}
	s.noteAccess(sec, v, now)
	out := &valueOutput{
		ARN:           sec.arn,
		Name:          sec.name,
		VersionID:     v.id,
		VersionStages: labels,
		CreatedDate:   newEpoch(v.created),
	}
	if v.value.binary {
		out.SecretBinary = v.value.data
	} else {
		text := string(v.value.data)
		out.SecretString = &text
	}
	return out, nil
}

// choose finds the version that is asked for, and the labels it is seen with.
func (s *Server) choose(sec *secret, in *getInput, now time.Time) (*version, []string, error) {
	label := stageCurrent
	if in.VersionStage != nil {
		label = *in.VersionStage
	}
	if in.VersionID != nil {
		return chooseByID(sec, *in.VersionID, in.VersionStage)
	}
	if label == stageCurrent {
		v, labels := sec.current(s.options.staleReads, now)
		if v == nil {
			return nil, nil, errNoStage(label)
		}
		return v, labels, nil
	}
	v := sec.version(sec.stages[label])
	if v == nil {
		return nil, nil, errNoStage(label)
	}
	return v, sec.labels(v.id), nil
}

// chooseByID keeps the rule that, of an id and a label, "the two parameters must refer to the same
// secret version".
func chooseByID(sec *secret, id string, label *string) (*version, []string, error) {
	v := sec.version(id)
	if v == nil {
		return nil, nil, errNoVersion(id)
	}
	if label != nil && sec.stages[*label] != id {
		return nil, nil, errInvalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
	}
	return v, sec.labels(id), nil
}

// noteAccess keeps LastAccessedDate, whose resolution is a day.
func (s *Server) noteAccess(sec *secret, v *version, now time.Time) {
	day := now.UTC().Truncate(24 * time.Hour)
	v.accessed = day
	if sec.accessed.Equal(day) {
		return
	}
	sec.accessed = day
	s.listing.note(now, sec.arn, newListEntry(sec))
}
