package main

import "github.com/spf13/cobra"

func newDoctorCommand(*globals) *cobra.Command { return &cobra.Command{Use: "doctor"} }
