package ingress

// descriptors gives 0: there is no such limit.
func descriptors() int { return 0 }
