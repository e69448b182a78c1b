package ipmi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/sensor"
	"github.com/bougou/go-ipmi/pkg/command/storage"
	"github.com/bougou/go-ipmi/pkg/types"
)

// lastRecord is the id that ends the repository (section 33.12).
const lastRecord = 0xffff

// sensors reads the sensor data records and the sensors' readings, and says
// which of them are not well. A BMC that is slower than the limit gives the
// problems that were found by then.
func (s *session) sensors(ctx context.Context, limit time.Duration) ([]string, error) {
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var problems []string
	err := s.walkSDR(timed, func(r record) error {
		problem, err := s.reading(timed, r)
		if problem != "" {
			problems = append(problems, problem)
		}
		return err
	})
	if timed.Err() != nil && ctx.Err() == nil {
		return append(problems, fmt.Sprintf("the sensors took longer than %s: not all were read", limit)), nil
	}
	return problems, s.tolerate(err)
}

// record is what is needed of a full or compact sensor record (section 43.1).
type record struct {
	owner, lun, number uint8
	kind, reading      uint8 // sensor type and event/reading type
	name               string
}

// walkSDR reads one record after the other. The number of steps is bounded,
// as a BMC whose records form a ring would never end.
func (s *session) walkSDR(ctx context.Context, visit func(record) error) error {
	const most = 2000
	id := uint16(0)
	for range most {
		data, next, err := s.sdr(ctx, id)
		if err != nil {
			return err
		}
		if r, ok := parseRecord(data); ok {
			if err := visit(r); err != nil {
				return err
			}
		}
		if next == lastRecord || next == id {
			return nil
		}
		id = next
	}
	return errors.New("the sensor data records have no end")
}

// sdr reads a record, in parts if the BMC cannot hand it out at once.
func (s *session) sdr(ctx context.Context, id uint16) ([]byte, uint16, error) {
	var whole storage.GetSDRResponse
	err := s.do(ctx, &storage.GetSDRRequest{RecordID: id, ReadBytes: 0xff}, &whole)
	if code, ok := completion(err); !ok || !tooMuch(code) {
		return whole.RecordData, whole.NextRecordID, err
	}
	const header, part = 5, 16
	// Only parts need a reservation, which any change cancels.
	for range 3 {
		var data []byte
		var next uint16
		data, next, err = s.sdrParts(ctx, id, header, part)
		if code, ok := completion(err); !ok || code != types.CodeReservationCanceled {
			return data, next, err
		}
	}
	return nil, 0, err
}

func (s *session) sdrParts(ctx context.Context, id uint16, header, part int) ([]byte, uint16, error) {
	var reservation storage.ReserveSDRRepoResponse
	if err := s.do(ctx, &storage.ReserveSDRRepoRequest{}, &reservation); err != nil {
		return nil, 0, err
	}
	var data []byte
	for want := header; len(data) < want; {
		var got storage.GetSDRResponse
		err := s.do(ctx, &storage.GetSDRRequest{ReservationID: reservation.ReservationID, RecordID: id,
			ReadOffset: uint8(len(data)), ReadBytes: uint8(min(part, want-len(data)))}, &got)
		if err != nil {
			return nil, 0, err
		}
		if len(got.RecordData) == 0 {
			return nil, 0, errors.New("reading a sensor data record: it ends early")
		}
		data = append(data, got.RecordData...)
		if len(data) >= header {
			want = min(header+int(data[4]), 0xff)
		}
		if len(data) >= want {
			return data, got.NextRecordID, nil
		}
	}
	return data, lastRecord, nil
}

// parseRecord reads tables 43-1 and 43-2.
func parseRecord(p []byte) (record, bool) {
	if len(p) < 14 {
		return record{}, false
	}
	var name int
	switch types.SDRRecordType(p[3]) {
	case types.SDRRecordTypeFullSensor:
		name = 47
	case types.SDRRecordTypeCompactSensor:
		name = 31
	default:
		return record{}, false
	}
	r := record{owner: p[5], lun: p[6] & 0x03, number: p[7], kind: p[12], reading: p[13]}
	if name < len(p) {
		end := min(len(p), name+1+int(p[name]&0x1f))
		r.name = text([]byte(types.FRUFieldString(types.TypeLength(p[name]), p[name+1:end])))
	}
	if r.name == "" {
		r.name = fmt.Sprintf("sensor %02xh", r.number)
	}
	return r, true
}

// reading says what is wrong with a sensor, or nothing. Sensors of other
// controllers and sensors that are not there are not asked twice.
func (s *session) reading(ctx context.Context, r record) (string, error) {
	var address client.CommandContext
	address.WithResponderAddr(r.owner).WithResponderLUN(r.lun)
	var got sensor.GetSensorReadingResponse
	err := s.do(client.WithCommandContext(ctx, &address), &sensor.GetSensorReadingRequest{SensorNumber: r.number}, &got)
	if err != nil {
		return "", s.tolerate(err)
	}
	if got.ReadingUnavailable || got.SensorScanningDisabled {
		return "", nil
	}
	if types.EventReadingType(r.reading).IsThreshold() {
		return thresholdProblem(r, got), nil
	}
	return discreteProblem(r, got.ActiveStates.TrueEvents()), nil
}

func thresholdProblem(r record, got sensor.GetSensorReadingResponse) string {
	switch {
	case got.Above_UNR:
		return r.name + ": above its upper non-recoverable limit"
	case got.Below_LNR:
		return r.name + ": below its lower non-recoverable limit"
	case got.Above_UCR:
		return r.name + ": above its upper critical limit"
	case got.Below_LCR:
		return r.name + ": below its lower critical limit"
	}
	return ""
}

// bad are the states of discrete sensors that want somebody to look, by
// sensor type and offset (table 42-3).
var bad = map[types.SensorType]map[uint8]string{
	types.SensorTypeProcessor:   {0: "IERR", 1: "thermal trip", 5: "configuration error", 11: "uncorrectable machine check"},
	types.SensorTypePowerSupply: {1: "failure", 2: "failure predicted", 3: "input lost", 6: "configuration error"},
	types.SensorTypeMemory:      {1: "uncorrectable ECC", 5: "correctable ECC limit reached", 7: "configuration error", 10: "critical overtemperature"},
	types.SensorTypeDriveSlot:   {1: "fault", 2: "failure predicted", 5: "in a critical array", 6: "in a failed array"},
}

func discreteProblem(r record, states []uint8) string {
	const sensorSpecific = 0x6f
	if r.reading != sensorSpecific {
		return ""
	}
	for _, state := range states {
		if text, ok := bad[types.SensorType(r.kind)][state]; ok {
			return r.name + ": " + text
		}
	}
	return ""
}
