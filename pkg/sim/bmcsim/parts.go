package bmcsim

import (
	"net/http"
	"slices"
	"time"
)

// parts are what an inventory reads.
func (b *BMC) parts(t map[string]resource) {
	h := b.config.Hardware
	numbered(t, systemPath+"/Processors", "ProcessorCollection", "Processor.v1_20_1.Processor", "Processor", h.CPUs, prefixed("CPU"), func(i int, c CPU) object {
		return object{
			"Socket": prefixed("CPU ")(i), "ProcessorType": "CPU", "ProcessorArchitecture": "x86", "InstructionSet": "x86-64",
			"Manufacturer": c.Manufacturer, "Model": c.Model, "MaxSpeedMHz": c.MHz, "TotalCores": c.Cores, "TotalThreads": c.Threads,
		}
	})
	numbered(t, systemPath+"/Memory", "MemoryCollection", "Memory.v1_20_0.Memory", "DIMM", h.DIMMs, prefixed("DIMM"), func(i int, d DIMM) object {
		return object{
			"MemoryType": "DRAM", "MemoryDeviceType": "DDR5", "BaseModuleType": "RDIMM", "CapacityMiB": d.MiB, "OperatingSpeedMhz": d.MHz,
			"SerialNumber": d.Serial, "DeviceLocator": prefixed("DIMM ")(i),
		}
	})
	numbered(t, systemPath+"/EthernetInterfaces", "EthernetInterfaceCollection", "EthernetInterface.v1_12_2.EthernetInterface", "Ethernet Interface", h.NICs, prefixed("NIC"), func(_ int, n NIC) object {
		o := object{
			"Name": n.Name, "MACAddress": n.MAC.String(), "PermanentMACAddress": n.MAC.String(), "LinkStatus": "LinkDown", "SpeedMbps": nil,
			"InterfaceEnabled": true, "IPv4Addresses": []object{}, "IPv6Addresses": []object{},
		}
		if n.Up {
			o["LinkStatus"], o["SpeedMbps"] = "LinkUp", n.Mbps
		}
		return o
	})
	b.storage(t)
}

func (b *BMC) storage(t map[string]resource) {
	type group struct {
		id     string
		drives []Drive
	}
	var groups []group
	for _, d := range b.config.Hardware.Drives {
		id := "RAID"
		if d.Bus == "NVMe" {
			id = "NVMe"
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.id == id })
		if i < 0 {
			i, groups = len(groups), append(groups, group{id: id})
		}
		groups[i].drives = append(groups[i].drives, d)
	}
	name := func(i int) string { return groups[i].id }
	numbered(t, systemPath+"/Storage", "StorageCollection", "Storage.v1_17_1.Storage", "Storage", groups, name, func(_ int, g group) object {
		base := systemPath + "/Storage/" + g.id
		links := []object{}
		for i := range g.drives {
			links = append(links, link(base+"/Drives/"+prefixed("Disk")(i)))
		}
		return object{
			"Drives": links, "Drives@odata.count": len(links), "Volumes": link(base + "/Volumes"),
			"StorageControllers": []object{{"@odata.id": base + "#/StorageControllers/0", "MemberId": "0", "Name": g.id + " Controller", "Model": "Simulated " + g.id, "Status": object{"State": "Enabled", "Health": "OK"}}},
		}
	})
	for _, g := range groups {
		base := systemPath + "/Storage/" + g.id
		t[base+"/Volumes"] = collection("VolumeCollection", "Volumes", fixed())
		numbered(t, base+"/Drives", "DriveCollection", "Drive.v1_20_1.Drive", "Drive", g.drives, prefixed("Disk"), func(_ int, d Drive) object {
			return object{
				"Model": d.Model, "SerialNumber": d.Serial, "CapacityBytes": d.Bytes, "MediaType": d.Media, "Protocol": d.Bus,
				"StatusIndicator": "OK", "FailurePredicted": false, "BlockSizeBytes": 512,
			}
		})
		// A Storage lists its drives itself (schema Storage 1.0); the
		// collection is of Chassis only.
		delete(t, base+"/Drives")
	}
}

// around is the BMC itself, and the chassis.
func (b *BMC) around(t map[string]resource) {
	h := b.config.Hardware
	ok := object{"State": "Enabled", "Health": "OK"}
	t[root+"/Managers"] = collection("ManagerCollection", "Manager Collection", fixed(managerPath))
	t[managerPath] = resource{kind: "Manager.v1_19_1.Manager", name: "Baseboard Management Controller", get: func() object {
		return object{
			"ManagerType": "BMC", "FirmwareVersion": h.Firmware, "Manufacturer": h.Manufacturer, "Model": "Simulated BMC", "UUID": managerUUID(h.UUID).String(),
			"ServiceEntryPointUUID": managerUUID(h.UUID).String(), "DateTime": b.config.Now().UTC().Format(time.RFC3339), "DateTimeLocalOffset": "+00:00",
			"PowerState": "On", "Status": ok, "VirtualMedia": link(managerPath + "/VirtualMedia"), "EthernetInterfaces": link(managerPath + "/EthernetInterfaces"),
			"NetworkProtocol":  link(managerPath + "/NetworkProtocol"),
			"GraphicalConsole": object{"ServiceEnabled": false, "MaxConcurrentSessions": 0, "ConnectTypesSupported": []string{}},
			"SerialConsole":    object{"ServiceEnabled": false, "MaxConcurrentSessions": 0, "ConnectTypesSupported": []string{}},
			"CommandShell":     object{"ServiceEnabled": false, "MaxConcurrentSessions": 0, "ConnectTypesSupported": []string{}},
			"Links":            object{"ManagerForServers": []object{link(systemPath)}, "ManagerForChassis": []object{link(chassisPath)}},
			"Actions":          object{"#Manager.Reset": object{"target": managerPath + "/Actions/Manager.Reset", "ResetType@Redfish.AllowableValues": []string{"ForceRestart", "GracefulRestart"}}},
		}
	}}
	// A BMC that restarts forgets its sessions, and the machine does not care.
	t[managerPath+"/Actions/Manager.Reset"] = resource{post: func(*http.Request, object) reply {
		b.mu.Lock()
		b.sessions = nil
		b.mu.Unlock()
		return reply{status: http.StatusNoContent}
	}}
	nic := []NIC{{Name: "Manager Ethernet Interface", MAC: h.MAC, Mbps: 1000, Up: true}}
	numbered(t, managerPath+"/EthernetInterfaces", "EthernetInterfaceCollection", "EthernetInterface.v1_12_2.EthernetInterface", "Manager Ethernet Interface", nic, prefixed("eth"), func(_ int, n NIC) object {
		return object{"MACAddress": n.MAC.String(), "PermanentMACAddress": n.MAC.String(), "SpeedMbps": n.Mbps, "LinkStatus": "LinkUp", "InterfaceEnabled": true}
	})
	t[managerPath+"/NetworkProtocol"] = resource{kind: "ManagerNetworkProtocol.v1_10_0.ManagerNetworkProtocol", name: "Manager Network Protocol", get: func() object {
		off := object{"ProtocolEnabled": false, "Port": nil}
		return object{"HostName": "bmc-" + h.Serial, "FQDN": nil, "Status": ok, "HTTPS": object{"ProtocolEnabled": true, "Port": 443}, "HTTP": off, "IPMI": off, "SSH": off}
	}}
	t[root+"/Chassis"] = collection("ChassisCollection", "Chassis Collection", fixed(chassisPath))
	t[chassisPath] = resource{kind: "Chassis.v1_25_1.Chassis", name: "Computer System Chassis", get: func() object {
		return object{
			"ChassisType": "RackMount", "Manufacturer": h.Manufacturer, "Model": h.Model, "SerialNumber": h.Serial, "SKU": h.SKU, "PartNumber": h.SKU,
			"PowerState": b.state(), "Status": ok, "IndicatorLED": "Off", "AssetTag": b.set.asset, "Power": link(chassisPath + "/Power"), "Thermal": link(chassisPath + "/Thermal"),
			"Links": object{"ComputerSystems": []object{link(systemPath)}, "ManagedBy": []object{link(managerPath)}},
		}
	}}
	t[chassisPath+"/Power"] = resource{kind: "Power.v1_7_3.Power", name: "Power", get: func() object {
		watts := 12
		if b.power.on {
			watts = 284
		}
		supply := func(id string) object {
			return object{"@odata.id": chassisPath + "/Power#/PowerSupplies/" + id, "MemberId": id, "Name": "PSU " + id, "PowerCapacityWatts": 800, "Status": ok}
		}
		return object{
			"PowerControl":  []object{{"@odata.id": chassisPath + "/Power#/PowerControl/0", "MemberId": "0", "Name": "System Power Control", "PowerConsumedWatts": watts, "PowerCapacityWatts": 800}},
			"PowerSupplies": []object{supply("0"), supply("1")}, "Voltages": []object{},
		}
	}}
	t[chassisPath+"/Thermal"] = resource{kind: "Thermal.v1_7_3.Thermal", name: "Thermal", get: func() object {
		return object{
			"Temperatures": []object{{"@odata.id": chassisPath + "/Thermal#/Temperatures/0", "MemberId": "0", "Name": "Inlet Temp", "ReadingCelsius": 22, "PhysicalContext": "Intake", "UpperThresholdCritical": 47, "Status": ok}},
			"Fans":         []object{{"@odata.id": chassisPath + "/Thermal#/Fans/0", "MemberId": "0", "Name": "Fan 1", "Reading": 5880, "ReadingUnits": "RPM", "Status": ok}},
		}
	}}
}
