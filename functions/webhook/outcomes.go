package main

import (
	"log/slog"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/telemetry"
)

// What became of a delivery, or of the messages of the overflow queue.
var (
	outcomeStored     = telemetry.NewOutcome("stored", slog.LevelInfo)
	outcomeOverflowed = telemetry.NewOutcome("overflowed", slog.LevelWarn)
	outcomeRefused    = telemetry.NewOutcome("refused", slog.LevelWarn)
	outcomeFailed     = telemetry.NewOutcome("failed", slog.LevelError)
	outcomeDrained    = telemetry.NewOutcome("drained", slog.LevelInfo)
	outcomeLater      = telemetry.NewOutcome("later", slog.LevelError)
)

var refusedBody = telemetry.One("RefusedBody")

// Why a delivery was refused, or not stored.
var (
	reasonTooLarge = telemetry.NewReason("body_too_large", refusedBody)
	reasonBase64   = telemetry.NewReason("body_not_base64", refusedBody)
	reasonSecret   = telemetry.NewReason("secret_unavailable", telemetry.One("SecretUnavailable"))
	reasonTable    = telemetry.NewReason("table_unavailable")
)

// ofRefusal are the reasons for which an Authorization header is refused.
var ofRefusal = map[auth.Reason]telemetry.Reason{
	auth.ReasonNoToken:        telemetry.NewReason(string(auth.ReasonNoToken), telemetry.One("RefusedNoToken")),
	auth.ReasonMalformedToken: telemetry.NewReason(string(auth.ReasonMalformedToken), telemetry.One("RefusedMalformedToken")),
	auth.ReasonWrongToken:     telemetry.NewReason(string(auth.ReasonWrongToken), telemetry.One("RefusedWrongToken")),
}
