package benchmarks

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestColdStart(t *testing.T) {
	if !*measure {
		t.Skip("measures: -measure runs it")
	}
	srv, _ := service(t)
	env := append(os.Environ(), "AWS_ENDPOINT_URL="+srv.URL(), "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any")
	programs := []string{"bare", "oauthstore"}
	path := func(name string) string { return filepath.Join(t.TempDir(), name) }
	binaries, sizes := make([]string, len(programs)), make([]int64, len(programs))
	for i, name := range programs {
		binaries[i] = path(name)
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binaries[i], "./coldstart/"+name)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		info, err := os.Stat(binaries[i])
		if err != nil {
			t.Fatal(err)
		}
		sizes[i] = info.Size()
	}
	const runs = 40
	times := make([][]time.Duration, len(programs))
	for range runs { // in turn
		for i := range programs {
			cmd := exec.Command(binaries[i])
			cmd.Env, cmd.Stderr = env, os.Stderr
			begin := time.Now()
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			times[i] = append(times[i], time.Since(begin))
		}
	}
	for i, name := range programs {
		slices.Sort(times[i])
		median := times[i][runs/2]
		t.Logf("%-10s %5.2f MB (%.3f of bare); start to first token: median %v, least %v (%.3f of bare's median)", name, float64(sizes[i])/1e6,
			float64(sizes[i])/float64(sizes[0]), median.Round(10*time.Microsecond), times[i][0].Round(10*time.Microsecond), float64(median)/float64(times[0][runs/2]))
	}
}
