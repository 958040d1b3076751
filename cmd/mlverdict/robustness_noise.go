// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newNoiseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "noise",
		Short: "false positives on noise",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("robustness noise: not there yet")
		},
	}
}
