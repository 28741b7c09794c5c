package exchange

import (
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	var trips roundTrips
	if got := trips.retryAfter("b", 0); got != 1 {
		t.Errorf("knowing nothing: %d", got)
	}
	for i := range 2 * tripsKept {
		trips.add("b", time.Duration(i)*time.Second)
	}
	for age, want := range map[time.Duration]int{0: 75, 70 * time.Second: 5, 74500 * time.Millisecond: 1, time.Hour: 1} {
		if got := trips.retryAfter("b", age); got != want {
			t.Errorf("age %s: %d, want %d", age, got, want)
		}
	}
	trips.add("slow", time.Hour)
	if got := trips.retryAfter("slow", 0); got != 300 {
		t.Errorf("slow: %d", got)
	}
}
