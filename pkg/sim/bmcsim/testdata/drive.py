"""Drives a BMC with sushy, and says what it sees: URL USER PASSWORD IMAGE."""
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import sushy
from sushy import auth

# Debian's package lacks the data files of the standard registries.
sushy.Sushy._get_standard_message_registry_collection = lambda self: []

url, user, password, image = sys.argv[1:]
root = sushy.Sushy(url, verify=False, auth=auth.SessionAuth(user, password))
system = root.get_system()


def say(what, *values):
    print(what + ":", *[getattr(v, "value", v) for v in values])


def booted(look):
    """Waits for what the machine's next boot brings about."""
    end = time.time() + 10
    while not look() and time.time() < end:
        time.sleep(0.02)


def overridden():
    system.refresh()
    boot = system.boot
    return boot.enabled, boot.target, boot.mode


say("system", system.manufacturer, system.sku, system.serial_number, system.power_state)
say("memory", system.memory_summary.size_gib, "threads", system.processors.summary.count)
say("ports", *sorted(system.ethernet_interfaces.summary))
say("drives", *[d.serial_number for s in system.storage.get_members() for d in s.drives])
say("can reset", *sorted(v.value for v in system.get_allowed_reset_system_values()))
say("can boot", *sorted(v.value for v in system.get_allowed_system_boot_source_values()))

system.set_system_boot_options(target=sushy.BOOT_SOURCE_TARGET_PXE, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE, mode=sushy.BOOT_SOURCE_MODE_UEFI)
say("boot", *overridden())
system.reset_system(sushy.RESET_ON)
system.refresh()
say("power", system.power_state)
booted(lambda: overridden()[0] == sushy.BOOT_SOURCE_ENABLED_DISABLED)
say("boot", *overridden())

media = root.get_manager().virtual_media.get_members()[0]
media.insert_media(image)
media.refresh()
say("media", media.media_types[0], media.inserted, media.write_protected, media.image == image)
system.set_system_boot_options(target=sushy.BOOT_SOURCE_TARGET_CD, enabled=sushy.BOOT_SOURCE_ENABLED_CONTINUOUS)
system.reset_system(sushy.RESET_FORCE_RESTART)
say("boot", *overridden())
media.eject_media()
media.refresh()
say("media", media.inserted, media.image)

bios = system.bios
say("bios", bios.attributes["ProcVirtualization"], bios.supported_apply_times[0])
bios.set_attribute("ProcVirtualization", "Enabled", apply_time=sushy.APPLY_TIME_ON_RESET)
bios.refresh()
say("bios", bios.attributes["ProcVirtualization"], bios.pending_attributes["ProcVirtualization"])
system.reset_system(sushy.RESET_FORCE_RESTART)
system.refresh()


def virtualization():
    bios.refresh()
    return bios.attributes["ProcVirtualization"]


booted(lambda: virtualization() == "Enabled")
say("bios", virtualization())
registry = bios.get_attribute_registry()
say("registry", len(registry.registry_entries.attributes))
try:
    bios.set_attribute("NoSuchThing", "1")
except sushy.exceptions.BadRequestError as e:
    say("refused", e.code)

system.reset_system(sushy.RESET_FORCE_OFF)
system.refresh()
say("power", system.power_state)
say("secure boot", system.secure_boot.enabled)
say("chassis", root.get_chassis().chassis_type, "sessions", len(root.get_session_service().sessions.members_identities))
root._auth.close()
