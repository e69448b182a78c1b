package redfish

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
)

func TestInventory(t *testing.T) {
	b := newBoard()
	store := func(path string, doc object) string { b.docs[path] = doc; return path }
	list := func(path string, docs ...object) object {
		var paths []string
		for i, doc := range docs {
			paths = append(paths, store(path+"/"+string(rune('a'+i)), doc))
		}
		return link(store(path, collection(paths...)))
	}
	ok, absent := object{"Health": "OK", "State": "Enabled"}, object{"State": "Absent"}
	merge(b.system(), object{
		"ProcessorSummary": object{"Count": 2}, "MemorySummary": object{"TotalSystemMemoryGiB": 96.5, "Status": ok},
		"Processors": list("/redfish/v1/p",
			object{"Id": "CPU1", "ProcessorType": "CPU", "Model": " Xeon 6130 ", "TotalCores": 16, "TotalThreads": 32, "Status": ok},
			object{"Id": "CPU2", "Status": absent}, object{"Id": "GPU1", "ProcessorType": "GPU", "Status": ok}),
		"EthernetInterfaces": list("/redfish/v1/e",
			object{"Id": "1", "MACAddress": "52:54:00:12:34:56", "SpeedMbps": 1000, "LinkStatus": "LinkUp"},
			object{"Id": "2", "PermanentMACAddress": "52-54-00-12-34-57", "MACAddress": "00:00:00:00:00:01", "LinkStatus": "NoLink"},
			object{"Id": "3", "MACAddress": "not one"}, object{"Id": "4", "MACAddress": "00:00:00:00:00:00"}),
		"Storage": list("/redfish/v1/s", object{"Id": "RAID1", "Status": ok, "Drives": []any{
			link(store("/redfish/v1/d/0", object{"Name": "Disk 0", "Model": "MZ7", "SerialNumber": "S1", "CapacityBytes": 480103981056, "MediaType": "SSD", "Status": ok})),
			link(store("/redfish/v1/d/1", object{"Id": "1", "CapacityBytes": 8001563222016, "MediaType": "HDD", "Status": object{"Health": "Critical"}})),
			link(store("/redfish/v1/d/2", object{"Id": "2", "Status": absent})), link("/redfish/v1/d/gone")}}),
		"SimpleStorage": link("/redfish/v1/simple"),
	})
	b.docs["/redfish/v1/Boxes/1u"]["NetworkAdapters"] = list("/redfish/v1/a", object{"Id": "Slot2", "Status": ok, "NetworkPorts": list("/redfish/v1/ports",
		object{"Id": "1", "AssociatedNetworkAddresses": []any{"B8:59:9F:00:00:01"}, "CurrentLinkSpeedMbps": 25000, "LinkStatus": "Up"},
		object{"Id": "2", "AssociatedNetworkAddresses": []any{"52:54:00:12:34:57"}, "CurrentLinkSpeedMbps": 10000, "LinkStatus": "Up"})})
	want := bmc.Inventory{
		Manufacturer: "Contoso", Model: "3500", Serial: "437XR1138R2", UUID: "38947555-7742-3448-3784-823347823834",
		BIOS: "P79 v1.45", BMC: "1.45.455b66-rev4", Health: "Warning", Memory: 96<<30 + 1<<29,
		CPUs: []bmc.CPU{{Model: "Xeon 6130", Cores: 16, Threads: 32}},
		NICs: []bmc.NIC{
			{Name: "1", MAC: "52:54:00:12:34:56", Speed: 1000, Link: "up"},
			{Name: "2", MAC: "52:54:00:12:34:57", Speed: 10000, Link: "down"},
			{Name: "Slot2 1", MAC: "b8:59:9f:00:00:01", Speed: 25000, Link: "up"},
		},
		Disks:    []bmc.Disk{{Name: "Disk 0", Model: "MZ7", Serial: "S1", Size: 480103981056, Media: "SSD"}, {Name: "1", Size: 8001563222016, Media: "HDD"}},
		Problems: []string{"system: Warning", "drive 1: Critical"},
	}
	d := dial(t, b)
	got, err := d.Inventory(context.Background())
	took := got.Took
	got.Took = 0
	if diff := cmp.Diff(want, got); err != nil || diff != "" || took <= 0 {
		t.Errorf("%v, took %s\n%s", err, took, diff)
	}

	// The same from a service that can put the members into the collection.
	single := len(b.requests)
	b.with(func() {
		b.docs["/redfish/v1"]["ProtocolFeaturesSupported"] = object{"ExpandQuery": object{"NoLinks": true}}
		b.before = func(w http.ResponseWriter, r *http.Request) bool {
			doc := b.docs[r.URL.Path]
			members, is := doc["Members"].([]any)
			if !is || !strings.Contains(r.URL.RawQuery, "expand=.") {
				return false
			}
			b.requests = append(b.requests, "GET "+r.URL.Path)
			full := []any{}
			for _, m := range members {
				full = append(full, b.docs[m.(object)["@odata.id"].(string)])
			}
			_, _ = w.Write(encoded(object{"Members": full}))
			return true
		}
	})
	again, err := Dial(context.Background(), target(serve(t, b)), quick)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close(context.Background())
	begin := len(b.requests)
	got, err = again.Inventory(context.Background())
	got.Took = 0
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("expanded: %v\n%s", err, diff)
	}
	if n := len(b.requests) - begin; n >= single-5 {
		t.Errorf("expanding took %d requests, without it was %d: %v", n, single, b.requests[begin:])
	}
}

func TestInventoryOfLittle(t *testing.T) {
	b := newBoard()
	merge(b.system(), object{
		"Manufacturer": "Dell Inc.", "SKU": "7XQ4D93", "SerialNumber": "CNIVC0099",
		"ProcessorSummary": object{"Count": 2, "Model": "EPYC", "CoreCount": 64, "LogicalProcessorCount": 128},
		"MemorySummary":    object{"TotalSystemMemoryGiB": nil},
		"Memory":           link("/redfish/v1/m"), "SimpleStorage": link("/redfish/v1/ss"), "Storage": link("/redfish/v1/none"),
	})
	b.docs["/redfish/v1/m"] = collection("/redfish/v1/m/1", "/redfish/v1/m/2")
	b.docs["/redfish/v1/m/1"] = object{"CapacityMiB": 32768}
	b.docs["/redfish/v1/m/2"] = object{"Id": "B2", "CapacityMiB": 0, "Status": object{"Health": "Critical"}}
	b.docs["/redfish/v1/ss"] = collection("/redfish/v1/ss/1")
	b.docs["/redfish/v1/ss/1"] = object{"Devices": []any{object{"Name": "SATA 0", "Model": "M1", "CapacityBytes": 1000}, object{"Name": "SATA 1", "Status": object{"State": "Absent"}}}}
	got, err := dial(t, b).Inventory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got.Serial != "7XQ4D93" || got.Memory != 32<<30 || !slices.Contains(got.Problems, "memory B2: Critical") {
		t.Errorf("%+v", got)
	}
	cpu := bmc.CPU{Model: "EPYC", Cores: 32, Threads: 64}
	if diff := cmp.Diff([]bmc.CPU{cpu, cpu}, got.CPUs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]bmc.Disk{{Name: "SATA 0", Model: "M1", Size: 1000}}, got.Disks); diff != "" {
		t.Error(diff)
	}
}

func TestConsole(t *testing.T) {
	if _, err := dial(t, newBoard()).Console(context.Background()); !errors.Is(err, bmc.ErrUnsupported) || !strings.Contains(err.Error(), "ipmi") {
		t.Errorf("got %v", err)
	}
}

// FuzzSystem has a BMC answer anything where its system should be.
func FuzzSystem(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `null`, `{"Boot":[],"Actions":{"#ComputerSystem.Reset":null}}`,
		`{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe","BootOrder":["a","b"]},"PowerState":"On","Links":{"ManagedBy":[null]}}`,
		`{"PowerState":3,"MemorySummary":{"TotalSystemMemoryGiB":1e300},"ProcessorSummary":{"Count":-1},"@Redfish.Settings":{"SettingsObject":{"@odata.id":"x"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		b := newBoard()
		b.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != pathSystem {
				return false
			}
			_, _ = w.Write(reply)
			return true
		}
		ctx := context.Background()
		d, err := Dial(ctx, target(serve(t, b)), quick)
		if err != nil {
			if b.open() != 0 {
				t.Error("a session is left open")
			}
			return
		}
		_, _ = d.Power(ctx)
		_, _ = d.Boot(ctx)
		_, _ = d.Inventory(ctx)
		_, _ = d.Media(ctx)
		_, _ = d.Firmware(ctx)
		d.Close(ctx)
		if b.open() != 0 {
			t.Error("a session is left open")
		}
	})
}
