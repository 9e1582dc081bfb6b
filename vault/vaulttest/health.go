package vaulttest

import (
	"net/http"
	"strconv"
)

// versionEmulated is the version of Vault whose behaviour the server has.
const versionEmulated = "1.21.4"

const clusterName = "vaulttest"

// health answers sys/health: 200 for an active node and 503 for a sealed one, or what the query
// asks for in their place.
func (s *Server) health(r *http.Request) *reply {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return errorReply(errMethod)
	}
	s.mu.Lock()
	sealed := s.sealed
	s.mu.Unlock()

	status, name := http.StatusOK, "activecode"
	if sealed {
		status, name = http.StatusServiceUnavailable, "sealedcode"
	}
	if text := r.URL.Query().Get(name); text != "" {
		code, err := strconv.Atoi(text)
		if err != nil {
			return errorReply(badRequest(""))
		}
		status = code
	}
	body := map[string]any{
		"initialized": true, "sealed": sealed, "standby": sealed, "performance_standby": false,
		"replication_performance_mode": "disabled", "replication_dr_mode": "disabled",
		"server_time_utc": s.Now().Unix(), "version": versionEmulated, "enterprise": false,
		"echo_duration_ms": 0, "clock_skew_ms": 0, "replication_primary_canary_age_ms": 0,
	}
	s.addCluster(body, sealed)
	return jsonReply(status, body)
}

func (s *Server) sealStatus(r *http.Request) *reply {
	if r.Method != http.MethodGet {
		return errorReply(errMethod)
	}
	s.mu.Lock()
	sealed := s.sealed
	s.mu.Unlock()
	body := map[string]any{
		"type": "shamir", "initialized": true, "sealed": sealed, "t": 1, "n": 1, "progress": 0,
		"nonce": "", "version": versionEmulated, "build_date": "", "migration": false,
		"recovery_seal": false, "storage_type": "inmem",
	}
	s.addCluster(body, sealed)
	return jsonReply(http.StatusOK, body)
}

// addCluster adds what only an unsealed node knows.
func (s *Server) addCluster(body map[string]any, sealed bool) {
	if !sealed {
		body["cluster_name"], body["cluster_id"] = clusterName, s.clusterID
	}
}
