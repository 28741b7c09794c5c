// Package config is the typed configuration: defaults, strict decoding, validation. The only user of viper.
//
// Load reads a YAML file, the HOFT_ variables and --set values into a Config and reports every
// problem of all three at once, each with its place, key, value, reason and mend. Nothing outside
// this package sees viper, and nothing here is global: a reload is another Load.
package config
