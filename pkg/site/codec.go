package site

import (
	"encoding/json"
	"fmt"
	"time"
)

// record is an event as the log keeps it; the sequence is the log's own.
type record struct {
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
	Body any       `json:"body"`
}

// EncodeEvent writes the record that DecodeEvent reads: one JSON object, so
// that a log can be read without Rackseed.
func EncodeEvent(at time.Time, b Body) ([]byte, error) {
	data, err := json.Marshal(record{Kind: b.Kind(), At: at, Body: b})
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", b.Kind(), err)
	}
	return data, nil
}

// DecodeEvent reads a record. A kind it does not know is an error: folding a
// log with a hole in it would give a state that never was.
func DecodeEvent(seq uint64, data []byte) (Event, error) {
	var r struct {
		Kind string          `json:"kind"`
		At   time.Time       `json:"at"`
		Body json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return Event{}, fmt.Errorf("event %d is not a record of this log: %w", seq, err)
	}
	decode, ok := decoderOf(r.Kind)
	if !ok {
		return Event{}, fmt.Errorf("event %d is of kind %q, which this version does not know: run the version that wrote it, or a newer one", seq, r.Kind)
	}
	body, err := decode(r.Body)
	if err != nil {
		return Event{}, fmt.Errorf("event %d (%s): %w", seq, r.Kind, err)
	}
	return Event{Seq: seq, At: r.At, Body: body}, nil
}

// MarshalJSON gives the event as the API and `rackseed events --json` show it.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Seq     uint64    `json:"seq"`
		At      time.Time `json:"at"`
		Kind    string    `json:"kind"`
		Subject string    `json:"subject,omitempty"`
		Body    any       `json:"body"`
	}{e.Seq, e.At, e.Body.Kind(), e.Body.Subject(), e.Body})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Event) UnmarshalJSON(data []byte) error {
	var head struct {
		Seq uint64 `json:"seq"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return err
	}
	decoded, err := DecodeEvent(head.Seq, data)
	if err != nil {
		return err
	}
	*e = decoded
	return nil
}

// IsKind reports whether there are events of a kind.
func IsKind(kind string) bool {
	_, ok := decoderOf(kind)
	return ok
}

type decoder func([]byte) (Body, error)

func decodeAs[B Body](data []byte) (Body, error) {
	var b B
	err := json.Unmarshal(data, &b)
	return b, err
}

func decoderOf(kind string) (decoder, bool) {
	switch kind {
	case "plan-applied":
		return decodeAs[PlanApplied], true
	case "node-planned":
		return decodeAs[NodePlanned], true
	case "node-unplanned":
		return decodeAs[NodeUnplanned], true
	case "image-added":
		return decodeAs[ImageAdded], true
	case "image-removed":
		return decodeAs[ImageRemoved], true
	case "stranger-seen":
		return decodeAs[StrangerSeen], true
	case "lease-granted":
		return decodeAs[LeaseGranted], true
	case "lease-released":
		return decodeAs[LeaseReleased], true
	case "address-declined":
		return decodeAs[AddressDeclined], true
	case "armed":
		return decodeAs[Armed], true
	case "disarmed":
		return decodeAs[Disarmed], true
	case "install-started":
		return decodeAs[InstallStarted], true
	case "install-resumed":
		return decodeAs[InstallResumed], true
	case "answer-served":
		return decodeAs[AnswerServed], true
	case "install-progress":
		return decodeAs[InstallProgress], true
	case "install-done":
		return decodeAs[InstallDone], true
	case "install-failed":
		return decodeAs[InstallFailed], true
	case "node-verified":
		return decodeAs[NodeVerified], true
	case "evidence-stored":
		return decodeAs[EvidenceStored], true
	case "node-held":
		return decodeAs[NodeHeld], true
	default:
		return jobDecoderOf(kind)
	}
}

func jobDecoderOf(kind string) (decoder, bool) {
	switch kind {
	case "job-queued":
		return decodeAs[JobQueued], true
	case "job-step":
		return decodeAs[JobStep], true
	case "job-node-done":
		return decodeAs[JobNodeDone], true
	case "job-ended":
		return decodeAs[JobEnded], true
	case "job-resumed":
		return decodeAs[JobResumed], true
	case "bmc-learned":
		return decodeAs[BMCLearned], true
	case "node-inventoried":
		return decodeAs[NodeInventoried], true
	case "node-seen":
		return decodeAs[NodeSeen], true
	case "claim-refused":
		return decodeAs[ClaimRefused], true
	case "boot-ladder-stepped":
		return decodeAs[BootLadderStepped], true
	case "boot-ladder-worked":
		return decodeAs[BootLadderWorked], true
	case "stranger-inventoried":
		return decodeAs[StrangerInventoried], true
	case "bmc-adopted":
		return decodeAs[BMCAdopted], true
	case "bmc-password-issued":
		return decodeAs[BMCPasswordIssued], true
	case "bmc-password-settled":
		return decodeAs[BMCPasswordSettled], true
	case "bmc-forgotten":
		return decodeAs[BMCForgotten], true
	case "discovery-asked":
		return decodeAs[DiscoveryAsked], true
	case "stranger-forgotten":
		return decodeAs[StrangerForgotten], true
	default:
		return nil, false
	}
}
