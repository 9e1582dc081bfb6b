package vaulttest

import "net/http"

// health answers sys/health: 200 for the active node, 503 while it is sealed.
func (s *Server) health(*http.Request) *reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := http.StatusOK
	if s.sealed {
		status = http.StatusServiceUnavailable
	}
	return jsonReply(status, map[string]any{
		"initialized": true, "sealed": s.sealed, "standby": s.sealed, "performance_standby": false,
		"replication_performance_mode": "disabled", "replication_dr_mode": "disabled",
		"server_time_utc": s.Now().Unix(), "version": serverVersion, "enterprise": false,
		"cluster_name": "vault-cluster-test", "cluster_id": s.clusterID,
		"echo_duration_ms": 0, "clock_skew_ms": 0, "replication_primary_canary_age_ms": 0,
	})
}

// sealStatus answers sys/seal-status.
func (s *Server) sealStatus(*http.Request) *reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return jsonReply(http.StatusOK, map[string]any{
		"type": "shamir", "initialized": true, "sealed": s.sealed, "t": 1, "n": 1, "progress": 0, "nonce": "",
		"version": serverVersion, "migration": false, "recovery_seal": false, "storage_type": "inmem",
		"cluster_name": "vault-cluster-test", "cluster_id": s.clusterID,
	})
}

const serverVersion = "1.21.4"
