package config

import _ "embed" // for the sample

// Sample is a commented configuration file to start from. It loads as it is.
//
//go:embed sample.yaml
var Sample string
