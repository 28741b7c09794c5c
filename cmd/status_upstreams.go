package cmd

import (
	"fmt"
	"time"

	"github.com/hoft/hoft/pkg/admin"
)

// upstreams prints how the servers behind this site fare.
func (s *screen) upstreams(list []admin.Upstream) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintln(s.out)
	var rows [][]cell
	for _, u := range list {
		last := u.Last
		if u.RetryInS > 0 {
			last += ", tried again in " + admin.Age(time.Duration(u.RetryInS*float64(time.Second)))
		}
		if u.Login != "" {
			last = "no token: " + u.Login
		}
		rows = append(rows, []cell{{text: u.Name}, s.breaker(u.State), {text: fmt.Sprint(u.Failures)}, {text: orDash(last)}})
	}
	return s.table([]column{{"UPSTREAM", 0}, {"BREAKER", 0}, {"FAILURES IN A ROW", 2}, {"LAST FAILURE", 1}}, rows)
}

// breaker gives the state of a circuit breaker with its mark.
func (s *screen) breaker(word string) cell {
	switch word {
	case "closed":
		return cell{s.either("● ", "") + word, green}
	case "open":
		return cell{s.either("✗ ", "x ") + word, red}
	case "half-open":
		return cell{s.either("▲ ", "! ") + word, yellow}
	}
	return cell{s.either("○ ", "- ") + word, dim}
}
