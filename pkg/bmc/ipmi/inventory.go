package ipmi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/command/storage"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// sensorsAtMost is how long the sensors may take: hundreds of them at 20 ms
// each are not rare.
const sensorsAtMost = 20 * time.Second

// Inventory reads FRU 0, the device id, the system GUID, the chassis status
// and the sensors. What a BMC lacks of it is left out.
func (d *driver) Inventory(ctx context.Context) (bmc.Inventory, error) {
	start := time.Now()
	if err := d.identify(ctx); err != nil {
		return bmc.Inventory{}, fmt.Errorf("reading the inventory: %w", err)
	}
	inventory := bmc.Inventory{BMC: d.known.Firmware}
	err := d.use(ctx, func(s *session) error {
		if err := s.readFRU(ctx, &inventory); err != nil {
			return err
		}
		var guid app.GetSystemGUIDResponse
		if err := s.tolerate(s.do(ctx, &app.GetSystemGUIDRequest{}, &guid)); err != nil {
			return err
		}
		inventory.UUID = uuid(guid.GUID)
		var status chassis.GetChassisStatusResponse
		if err := s.do(ctx, &chassis.GetChassisStatusRequest{}, &status); err != nil {
			return err
		}
		inventory.Problems = chassisProblems(status)
		problems, err := s.sensors(ctx, sensorsAtMost)
		inventory.Problems = append(inventory.Problems, problems...)
		return err
	})
	if err != nil {
		return bmc.Inventory{}, fmt.Errorf("reading the inventory: %w", err)
	}
	inventory.Health = "ok"
	if len(inventory.Problems) > 0 {
		inventory.Health = "warning"
	}
	if inventory.Manufacturer != "" {
		d.known.Manufacturer = inventory.Manufacturer
	}
	if inventory.Model != "" {
		d.known.Model = inventory.Model
	}
	inventory.Took = time.Since(start)
	return inventory, nil
}

func chassisProblems(s chassis.GetChassisStatusResponse) []string {
	var problems []string
	for _, p := range []struct {
		bad  bool
		text string
	}{
		{s.PowerFault, "power fault"},
		{s.PowerControlFault, "power control fault"},
		{s.PowerOverload, "power overload"},
		{s.DriveFault, "drive fault"},
		{s.CollingFanFault, "cooling or fan fault"},
	} {
		if p.bad {
			problems = append(problems, p.text)
		}
	}
	return problems
}

// uuid writes a GUID as the firmware's SMBIOS table does, which is how nearly
// all BMCs keep it: the first three fields have the low byte first.
func uuid(g [16]byte) string {
	if g == [16]byte{} {
		return ""
	}
	u, err := types.ParseGUID(g[:], types.GUIDModeSMBIOS)
	if err != nil {
		return ""
	}
	return u.String()
}

// fruLimit bounds what is read: a FRU has some hundred bytes.
const fruLimit = 4096

// readFRU reads who made the machine from FRU device 0 (Platform Management
// FRU Information Storage Definition 1.0).
func (s *session) readFRU(ctx context.Context, to *bmc.Inventory) error {
	data, err := s.fruData(ctx)
	if err := s.tolerate(err); err != nil {
		return err
	}
	f := parseFRU(data)
	to.Manufacturer, to.Model, to.Serial = f.manufacturer, f.model, f.serial
	return nil
}

func (s *session) fruData(ctx context.Context) ([]byte, error) {
	var area storage.GetFRUInventoryAreaInfoResponse
	if err := s.do(ctx, &storage.GetFRUInventoryAreaInfoRequest{}, &area); err != nil {
		return nil, err
	}
	size, unit := int(area.AreaSizeBytes), 1
	if area.DeviceAccessedByWords {
		unit = 2
	}
	var data []byte
	count := 64
	for size = min(size, fruLimit); len(data) < size; {
		var got storage.ReadFRUDataResponse
		err := s.do(ctx, &storage.ReadFRUDataRequest{ReadOffset: uint16(len(data) / unit), ReadCount: uint8(min(count, size-len(data)) / unit)}, &got)
		if code, ok := completion(err); ok && count > 8 && tooMuch(code) {
			count /= 2
			continue
		}
		if err != nil {
			return data, err
		}
		if len(got.Data) == 0 {
			break
		}
		data = append(data, got.Data...)
	}
	return data, nil
}

// tooMuch reports whether a BMC cannot hand out that many bytes at once.
func tooMuch(code types.CompletionCode) bool {
	return slices.Contains([]types.CompletionCode{types.CodeRequestDataLengthInvalid, types.CodeRequestDataLengthLimitExceeded,
		types.CodeParameterOutOfRange, types.CodeCannotReturnRequestedDataBytes, types.CodeUnspecifiedError}, code)
}

type fru struct{ manufacturer, model, serial string }

// parseFRU prefers the product area to the board's and the chassis'.
func parseFRU(data []byte) fru {
	var f fru
	if product, err := area(data, 4, func(p []byte) (types.FRUProductInfoArea, error) {
		var a types.FRUProductInfoArea
		return a, a.Unpack(p)
	}); err == nil {
		f = fru{
			manufacturer: field(product.ManufacturerTypeLength, product.Manufacturer),
			model:        field(product.NameTypeLength, product.Name),
			serial:       field(product.SerialNumberTypeLength, product.SerialNumber),
		}
	}
	if board, err := area(data, 3, func(p []byte) (types.FRUBoardInfoArea, error) {
		var a types.FRUBoardInfoArea
		return a, a.Unpack(p)
	}); err == nil {
		f.fill(fru{
			manufacturer: field(board.ManufacturerTypeLength, board.Manufacturer),
			model:        field(board.ProductNameTypeLength, board.ProductName),
		})
	}
	if chassis, err := area(data, 2, func(p []byte) (types.FRUChassisInfoArea, error) {
		var a types.FRUChassisInfoArea
		return a, a.Unpack(p)
	}); err == nil {
		f.fill(fru{serial: field(chassis.SerialNumberTypeLength, chassis.SerialNumber)})
	}
	return f
}

func (f *fru) fill(other fru) {
	for _, p := range []struct {
		to   *string
		from string
	}{{&f.manufacturer, other.manufacturer}, {&f.model, other.model}, {&f.serial, other.serial}} {
		if *p.to == "" {
			*p.to = p.from
		}
	}
}

// area reads the area whose offset stands at index i of the common header.
func area[A any](data []byte, i int, parse func([]byte) (A, error)) (a A, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("area %d: %v", i, r)
		}
	}()
	if len(data) < 8 || data[0]&0x0f != types.FRUFormatVersion || data[i] == 0 {
		return a, errors.New("it is not there")
	}
	from := int(data[i]) * 8
	if from+2 > len(data) {
		return a, errors.New("it is beyond the end")
	}
	to := from + int(data[from+1])*8
	if to > len(data) {
		return a, errors.New("it is beyond the end")
	}
	return parse(data[from:to])
}

func field(tl types.TypeLength, raw []byte) string {
	return text([]byte(types.FRUFieldString(tl, raw)))
}

// text drops what is not printable, and fills such as "0123456789".
func text(p []byte) string {
	s := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, string(p)))
	if slices.Contains(fillers, strings.ToLower(strings.Trim(s, "."))) {
		return ""
	}
	return s
}

// fillers are what makers leave in fields that they forgot.
var fillers = []string{"to be filled by o.e.m", "default string", "not specified", "none", "n/a", "na", "oem", "0123456789"}
