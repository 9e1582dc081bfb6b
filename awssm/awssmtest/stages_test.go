package awssmtest_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"
)

func (f fixture) move(label, to, from string) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: aws.String("a"), VersionStage: &label}
	if to != "" {
		in.MoveToVersionId = aws.String(token(to))
	}
	if from != "" {
		in.RemoveFromVersionId = aws.String(token(from))
	}
	_, err := f.UpdateSecretVersionStage(f.ctx, in)
	return err
}

func TestUpdateSecretVersionStage(t *testing.T) {
	startWithTwo := func(t *testing.T) fixture {
		f := start(t)
		f.create("a", "one")
		f.mustPut("a", "v2", "two", "next")
		return f
	}
	t.Run("moves AWSCURRENT from the version that is named, and AWSPREVIOUS to it", func(t *testing.T) {
		f := startWithTwo(t)
		require.NoError(t, f.move(current, "v2", "v1"))
		require.Equal(t, map[string][]string{"v1": {previous}, "v2": {current, "next"}}, f.stages("a"))
		require.Equal(t, "two", *f.mustGet("a").SecretString)
		require.NoError(t, f.move(current, "v1", "v2"), "and back")
		require.Equal(t, map[string][]string{"v1": {current}, "v2": {previous, "next"}}, f.stages("a"))
	})
	t.Run("refuses to move a label from a version that does not have it", func(t *testing.T) {
		f := startWithTwo(t)
		f.mustPut("a", "v3", "three")
		err := f.move(current, "v2", "v1")
		var invalid *types.InvalidParameterException
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, "When you move staging label AWSCURRENT, if you specify RemoveFromVersionId, it must be"+
			" set to the version that currently has the staging label AWSCURRENT.", invalid.ErrorMessage())
		require.Equal(t, []string{current}, f.stages("a")["v3"])
		requireCode(t, f.move("fresh", "v2", "v1"), "InvalidParameterException", "")
	})
	t.Run("wants to know from where an attached label is to go", func(t *testing.T) {
		f := startWithTwo(t)
		requireCode(t, f.move(current, "v2", ""), "InvalidParameterException",
			"The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version "+
				token("v1")+", so you must explicitly reference that version in RemoveFromVersionId.")
		require.NoError(t, f.move(current, "v1", ""), "it is there already")
	})
	t.Run("attaches and removes labels, but never removes AWSCURRENT", func(t *testing.T) {
		f := startWithTwo(t)
		require.NoError(t, f.move("fresh", "v1", ""))
		require.Equal(t, []string{current, "fresh"}, f.stages("a")["v1"])
		require.NoError(t, f.move("next", "", "v2"))
		require.NotContains(t, f.stages("a"), "v2", "a version without labels is not described")
		requireCode(t, f.move(current, "", "v1"), "InvalidParameterException", "can't be completely removed")
		requireCode(t, f.move("fresh", "", ""), "InvalidParameterException", "MoveToVersionId")
	})
	t.Run("refuses a version that is not there", func(t *testing.T) {
		f := startWithTwo(t)
		requireCode(t, f.move("fresh", "v9", ""), "ResourceNotFoundException", token("v9"))
	})
	t.Run("allows 20 labels over all versions", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		for i := range 19 {
			f.mustPut("a", fmt.Sprintf("n%d", i), "x", fmt.Sprintf("label%d", i))
		}
		_, err := f.put("a", "over", "x", "label19")
		var limit *types.LimitExceededException
		require.ErrorAs(t, err, &limit)
		requireCode(t, f.move("label19", "v1", ""), "LimitExceededException", "")
		f.mustPut("a", "over", "x", "label18")
	})
}
