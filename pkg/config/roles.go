package config

import (
	"errors"
	"fmt"
	"strings"
)

// Roles says which roles a process has. flag is a comma list of ingress and egress; "" leaves it to the
// sections present. A role without its section is an error, and so is no role at all without a Data API.
func (c *Config) Roles(flag string) (ingress, egress bool, err error) {
	if strings.TrimSpace(flag) == "" {
		if c.Ingress == nil && c.Egress == nil && c.Data.Listen == "" {
			return false, false, errors.New("the configuration has neither section ingress nor egress, nor data.listen; add one of them")
		}
		return c.Ingress != nil, c.Egress != nil, nil
	}
	for _, name := range strings.Split(flag, ",") {
		switch strings.TrimSpace(name) {
		case "ingress":
			ingress = true
		case "egress":
			egress = true
		default:
			return false, false, fmt.Errorf("role %q is not known; write ingress, egress, or both by comma", strings.TrimSpace(name))
		}
	}
	if ingress && c.Ingress == nil {
		return false, false, errors.New("role ingress needs a section ingress, with listen and routes, in the configuration")
	}
	if egress && c.Egress == nil {
		return false, false, errors.New("role egress needs a section egress, with upstreams, in the configuration")
	}
	return ingress, egress, nil
}
