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
	if in.VersionID != nil {
		return s.chooseByID(sec, *in.VersionID, in.VersionStage, now)
	}
	label, stages := stageCurrent, sec.stages
	if in.VersionStage != nil {
		label = *in.VersionStage
	}
	if label == stageCurrent {
		stages = sec.seen(s.options.staleReads, now)
	}
	v := sec.version(stages[label])
	if v == nil {
		return nil, nil, errNoStage(label)
	}
	return v, labelsIn(stages, v.id), nil
}

// chooseByID keeps the rule that, of an id and a label, "the two parameters must refer to the same
// secret version".
func (s *Server) chooseByID(sec *secret, id string, label *string, now time.Time) (*version, []string, error) {
	v := sec.version(id)
	if v == nil || v != sec.versions[0] && now.Sub(v.created) < s.options.staleVersions {
		return nil, nil, errNoVersion(id)
	}
	stages := s.stages(sec, now)
	if label != nil && stages[*label] != id {
		return nil, nil, errInvalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
	}
	return v, labelsIn(stages, id), nil
}

// stages returns the labels as reads by version id and DescribeSecret see them.
func (s *Server) stages(sec *secret, now time.Time) map[string]string {
	if s.options.staleVersions == 0 {
		return sec.stages
	}
	return sec.seen(s.options.staleReads, now)
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
