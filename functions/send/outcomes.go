package main

import (
	"log/slog"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/telemetry"
)

// What a line can say, in one table: an outcome or a reason, the least level of its line, and what
// it counts.
type (
	outcome = telemetry.Outcome
	reason  = telemetry.Reason
)

const (
	info  = slog.LevelInfo
	warn  = slog.LevelWarn
	grave = slog.LevelError
)

// The metrics that several entries count.
var (
	notSent           = telemetry.One("NotSent")
	recordsExpired    = telemetry.One("RecordsExpired")
	recordsWithoutRow = telemetry.One("RecordsWithoutRow")
	queued            = telemetry.One("Queued")
	// queueUnavailable counts what neither the queue nor EventBridge Scheduler confirmed.
	queueUnavailable  = telemetry.One("QueueUnavailable")
	secretUnavailable = telemetry.One("SecretUnavailable")
	// gatewayRefusedKey counts calls that were refused for this installation's own key, with any
	// outcome.
	gatewayRefusedKey = telemetry.One("GatewayRefusedKey")
)

// What became of a request or record, beyond what the Gateway and the ledger say.
var (
	outcomeResponded     = telemetry.NewOutcome("answered", info)
	outcomeLookedUp      = telemetry.NewOutcome("looked_up", info)
	outcomeForwarded     = telemetry.NewOutcome("forwarded", info)
	outcomeRefused       = telemetry.NewOutcome("refused", warn)
	outcomeRecordRefused = telemetry.NewOutcome("refused", warn, telemetry.One("RecordsRefused"))
	outcomeSettled       = telemetry.NewOutcome("settled", info) // by an earlier attempt
	outcomeExpired       = telemetry.NewOutcome("expired", info, recordsExpired)
	outcomeLater         = telemetry.NewOutcome("later", warn, telemetry.One("RecordsLater"))
	// outcomeRateLimited is a released send for which the Gateway, or Meta through it, asked to
	// slow down.
	outcomeRateLimited = telemetry.NewOutcome(string(gateway.Released), info, notSent, telemetry.One("RateLimited"))
)

// ofCall are the outcomes of a call of the Gateway for a message.
var ofCall = map[gateway.State]outcome{
	gateway.Accepted: telemetry.NewOutcome(string(gateway.Accepted), info, telemetry.One("Sent")),
	gateway.Rejected: telemetry.NewOutcome(string(gateway.Rejected), info, telemetry.One("Rejected")),
	gateway.Released: telemetry.NewOutcome(string(gateway.Released), info, notSent),
	gateway.Unknown:  telemetry.NewOutcome(string(gateway.Unknown), grave, telemetry.One("OutcomeUnknown")),
}

// ofReceipt is the outcome of a call that passed a receipt on.
func ofReceipt(s gateway.State) outcome {
	return telemetry.NewOutcome(string(s), info, telemetry.One("Receipts"))
}

// ofResponse are the outcomes of messages that were not posted for this request.
var ofResponse = map[ledger.Kind]outcome{
	ledger.Stored:         telemetry.NewOutcome(string(ledger.Stored), info, telemetry.One("Replayed")),
	ledger.Busy:           telemetry.NewOutcome(string(ledger.Busy), info),
	ledger.KeyReused:      telemetry.NewOutcome(string(ledger.KeyReused), info),
	ledger.Uncertain:      telemetry.NewOutcome(string(ledger.Uncertain), info),
	ledger.Late:           telemetry.NewOutcome(string(ledger.Late), info),
	ledger.Gated:          telemetry.NewOutcome(string(ledger.Gated), info),
	ledger.Accepted202:    telemetry.NewOutcome(string(ledger.Accepted202), info, queued),
	ledger.Withdrawn:      telemetry.NewOutcome(string(ledger.Withdrawn), info),
	ledger.CancelDone:     telemetry.NewOutcome(string(ledger.CancelDone), info),
	ledger.CancelTooLate:  telemetry.NewOutcome(string(ledger.CancelTooLate), info),
	ledger.NoSuch:         telemetry.NewOutcome(string(ledger.NoSuch), info),
	ledger.ScheduleFailed: telemetry.NewOutcome(string(ledger.ScheduleFailed), info, queueUnavailable),
	ledger.QueueFailed:    telemetry.NewOutcome(string(ledger.QueueFailed), info, queueUnavailable),
	ledger.TableFailed:    telemetry.NewOutcome(string(ledger.TableFailed), info),
	ledger.NoTime:         telemetry.NewOutcome(string(ledger.NoTime), info),
}

// ofNote are what the ledger notes about a visit.
var ofNote = map[ledger.Note]outcome{
	ledger.NoteNoRow:        telemetry.NewOutcome(string(ledger.NoteNoRow), info, recordsWithoutRow),
	ledger.NoteNotQueued:    telemetry.NewOutcome(string(ledger.NoteNotQueued), info, recordsWithoutRow),
	ledger.NoteKeyReused:    telemetry.NewOutcome(string(ledger.NoteKeyReused), info),
	ledger.NoteHeld:         telemetry.NewOutcome(string(ledger.NoteHeld), info, telemetry.One("RecordsHeld")),
	ledger.NoteExpired:      telemetry.NewOutcome(string(ledger.NoteExpired), info, recordsExpired),
	ledger.NoteEarly:        telemetry.NewOutcome(string(ledger.NoteEarly), info),
	ledger.NoteWaits:        telemetry.NewOutcome(string(ledger.NoteWaits), info),
	ledger.NoteCancelled:    telemetry.NewOutcome(string(ledger.NoteCancelled), info),
	ledger.NoteScheduled:    telemetry.NewOutcome(string(ledger.NoteScheduled), info, queued),
	ledger.NoteNotScheduled: telemetry.NewOutcome(string(ledger.NoteNotScheduled), info, queueUnavailable),
	ledger.NoteGated:        telemetry.NewOutcome(string(ledger.NoteGated), info),
	ledger.NoteNotNow:       telemetry.NewOutcome(string(ledger.NoteNotNow), info),
	ledger.NoteOutcomeLost:  telemetry.NewOutcome(string(ledger.NoteOutcomeLost), grave, telemetry.One("OutcomeLost")),
	ledger.NoteRowGone:      telemetry.NewOutcome(string(ledger.NoteRowGone), info, telemetry.One("RowGone")),
	ledger.NoteContended:    telemetry.NewOutcome(string(ledger.NoteContended), info),
	ledger.NoteTableFailed:  telemetry.NewOutcome(string(ledger.NoteTableFailed), info, telemetry.One("TableUnavailable")),
	ledger.NoteNoTime:       telemetry.NewOutcome(string(ledger.NoteNoTime), info, telemetry.One("TooLate")),
}

// Why a request or record was not sent, beyond what the Gateway and the ledger say.
var (
	// reasonInvalid: the request is refused for what it is. The Gateway's refusal of a message has
	// a reason of its own.
	reasonInvalid       = telemetry.NewReason("invalid_request", telemetry.One("RefusedMessage"))
	reasonUnknownSender = telemetry.NewReason("unknown_sender", telemetry.One("RefusedMessage"))
	reasonAPIKey        = telemetry.NewReason("api_key_unavailable", secretUnavailable)
	reasonClients       = telemetry.NewReason("clients_unavailable", secretUnavailable)
	reasonClientsBroken = telemetry.NewReason("clients_invalid", secretUnavailable)
	reasonQueue         = telemetry.NewReason("queue_unavailable", queueUnavailable)
	reasonMayNotRead    = telemetry.NewReason("may_not_read")
	reasonNoSuchMessage = telemetry.NewReason("no_such_message")
	reasonRecordRefused = telemetry.NewReason("record_refused")
	reasonPanic         = telemetry.NewReason("panic")
	reasonPaced         = telemetry.NewReason("paced") // its turn comes too late for this process
	// reasonPaused: a record is delayed without a call, because the Gateway, or Meta through it,
	// has just asked for a pause. It is counted apart from the calls that were refused.
	reasonPaused = telemetry.NewReason(string(gateway.ReasonRateLimited), telemetry.One("RecordsDeferred"))
)

// ofRefusal are the reasons for which an Authorization header is refused.
var ofRefusal = map[auth.Reason]reason{
	auth.ReasonNoToken:        telemetry.NewReason(string(auth.ReasonNoToken), telemetry.One("RefusedNoToken")),
	auth.ReasonMalformedToken: telemetry.NewReason(string(auth.ReasonMalformedToken), telemetry.One("RefusedMalformedToken")),
	auth.ReasonWrongToken:     telemetry.NewReason(string(auth.ReasonWrongToken), telemetry.One("RefusedWrongToken")),
}

// ofGateway is the reason of a call.
func ofGateway(r gateway.Reason) reason {
	switch r {
	case gateway.ReasonPaymentRequired:
		return telemetry.NewReason(string(r), telemetry.One("PaymentRequired"))
	case gateway.ReasonBadKey:
		return telemetry.NewReason(string(r), secretUnavailable)
	}
	return telemetry.NewReason(string(r))
}
