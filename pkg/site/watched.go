package site

import (
	"net"
	"runtime/debug"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/node"
)

// watched is this site as its operator's face sees it.
func (s *Site) watched(roles Roles) admin.Site {
	out := admin.Site{Name: s.Name(), ID: s.ID(), Version: version(), Started: s.started, StateDir: s.cfg.StateDir,
		Outbox: s.cfg.Pipe.Outbox, Inbox: s.cfg.Pipe.Inbox, Heartbeat: s.cfg.Link.Heartbeat,
		Limits: node.Limits{OutboxMessages: int64(s.cfg.Limits.OutboxMessages), OutboxBytes: int64(s.cfg.Limits.OutboxBytes)},
		Loop:   s.node, Calls: s.manager, Pipe: s.pipe, State: s.db, Work: s.manager, Chunks: s.chunks}
	if s.callbacks != nil {
		out.Hooks = s.callbacks
	}
	if s.egress != nil {
		out.Callees = s.egress
	}
	for _, p := range s.peers {
		out.Peers = append(out.Peers, admin.Name{ID: p.ID, Name: p.Name, Signed: s.signed[p.ID]})
	}
	if roles.Ingress {
		out.Roles = append(out.Roles, "ingress")
	}
	if roles.Egress {
		out.Roles = append(out.Roles, "egress")
	}
	if a := s.Addr(); a != nil {
		out.Ingress = a.String()
	}
	return out
}

// AdminAddr is where the operator's TCP listener is; nil without one. Safe for concurrent use.
func (s *Site) AdminAddr() net.Addr { return s.places.Addr() }

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}
