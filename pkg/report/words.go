package report

// Lang is the language of a report for people.
type Lang string

// The languages.
const (
	English Lang = "en"
	Chinese Lang = "zh"
)

// Langs lists them.
func Langs() []Lang { return []Lang{English, Chinese} }

type catalogue map[string]string

// of gives a word of the report; what is no word of ours stays as it is.
func (c catalogue) of(key string) string {
	if text, ok := c[key]; ok {
		return text
	}
	return key
}

func words(lang Lang) catalogue {
	if lang == Chinese {
		return chinese()
	}
	return english()
}

func english() catalogue {
	return catalogue{
		"title": "Hand-over report", "made": "Made", "log": "up to event", "plan": "Plan, SHA-256", "summary": "Summary", "state": "State", "machines": "Machines",
		"image": "Image", "system": "System", "node": "Node", "role": "Role", "rack": "Rack", "serial": "Serial number", "attempts": "Attempts", "took": "Took",
		"deviations": "Deviations from the plan", "place": "Place", "model": "Model", "firmware": "Firmware", "cpus": "Logical CPUs", "memory": "Memory",
		"addresses": "Addresses", "disks": "Disks", "nics": "Network ports", "name": "Name", "link": "Link", "neighbour": "Neighbour", "attempt": "Attempt",
		"armed": "Armed by", "time": "Time", "reason": "Reason", "answer": "Answer file", "evidence": "Evidence", "phase": "Phase", "note": "Note",
		"handed": "Handed over by, date", "accepted": "Accepted by, date",
		"seen": "seen", "planned": "planned", "booting": "booting", "installing": "installing", "installed": "installed", "ready": "ready",
		"failed": "failed", "held": "held", "running": "running", "given up": "given up",
		"post": "power-on self test", "dhcp": "DHCP", "loader": "boot loader", "kernel": "kernel and initrd", "stage2": "installer starts", "partition": "partitioning",
		"packages": "packages", "configure": "configuration", "reboot": "reboot", "post-again": "second self test", "verify": "verification",
		"nodes": "Nodes", "file": "File", "at": "At", "address": "Address", "network": "Network", "disk": "Disk", "deviation": "Deviation", "started": "Started", "ended": "Ended",
		"result": "Result", "stage": "Stage", "why": "Reason given", "bmc": "BMC", "size": "Size", "version": "Version",
	}
}

func chinese() catalogue {
	return catalogue{
		"title": "交付报告", "made": "生成时间", "log": "截至事件", "plan": "规划 SHA-256", "summary": "汇总", "state": "状态", "machines": "台数",
		"image": "镜像", "system": "系统", "node": "节点", "role": "角色", "rack": "机柜", "serial": "序列号", "attempts": "安装次数", "took": "耗时",
		"deviations": "与规划的偏差", "place": "位置", "model": "型号", "firmware": "固件", "cpus": "逻辑 CPU", "memory": "内存",
		"addresses": "地址", "disks": "磁盘", "nics": "网口", "name": "名称", "link": "链路", "neighbour": "对端", "attempt": "第几次安装",
		"armed": "授权人", "time": "时间", "reason": "原因", "answer": "应答文件", "evidence": "留存日志", "phase": "阶段", "note": "说明",
		"handed": "交付人、日期", "accepted": "验收人、日期",
		"seen": "已发现", "planned": "已规划", "booting": "引导中", "installing": "安装中", "installed": "已安装", "ready": "就绪",
		"failed": "失败", "held": "挂起", "running": "进行中", "given up": "已放弃",
		"post": "上电自检", "dhcp": "DHCP", "loader": "引导程序", "kernel": "内核与 initrd", "stage2": "安装程序启动", "partition": "分区",
		"packages": "软件包", "configure": "配置", "reboot": "重启", "post-again": "再次自检", "verify": "验证",
		"nodes": "节点", "file": "文件", "at": "时间", "address": "地址", "network": "网络", "disk": "磁盘", "deviation": "偏差", "started": "开始", "ended": "结束",
		"result": "结果", "stage": "阶段", "why": "授权理由", "bmc": "BMC", "size": "容量", "version": "版本",
	}
}
