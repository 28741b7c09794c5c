package ingress

import "testing"

func TestConnectionsLeaveDescriptorsToTheRest(t *testing.T) {
	for _, c := range []struct{ most, descriptors, want int }{
		{4096, 0, 4096}, {0, 0, 0}, {4096, 1 << 20, 4096}, {0, 4096, 3840}, {4096, 4096, 3840}, {100, 4096, 100}, {4096, 1024, 768}, {4096, 100, 36}, {4096, 60, 1}, {0, 1, 1},
	} {
		if got := affordable(c.most, c.descriptors); got != c.want {
			t.Errorf("%d wanted of %d descriptors: %d, want %d", c.most, c.descriptors, got, c.want)
		}
	}
}
