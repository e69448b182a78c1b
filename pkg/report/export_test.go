package report

// Words opens the catalogue to tests.
func Words(l Lang) map[string]string { return words(l) }
