package profile

import "math"

// bufferPool is in bytes, as innodb_buffer_pool_size takes it.
func bufferPool(s *scope) (any, error) {
	memory, err := s.memoryGiB()
	return int64(min(memory*0.4, 8) * gib), err
}

// diskFreeLimit is in bytes: at least what the queue may hold in memory.
func diskFreeLimit(s *scope) (any, error) {
	memory, err := s.memoryGiB()
	if err != nil {
		return nil, err
	}
	watermark, err := s.number("vm_memory_high_watermark")
	return int64(math.Ceil(memory * watermark * gib)), err
}

// bytesPerSample is the upper end of what Prometheus says of itself.
const bytesPerSample = 2

// prometheusStorage is in bytes. Every machine of the plan is asked.
func prometheusStorage(s *scope) (any, error) {
	var days, series, interval float64
	for _, v := range []struct {
		name string
		to   *float64
	}{{"retention_days", &days}, {"series_per_node", &series}, {"scrape_interval", &interval}} {
		var err error
		if *v.to, err = s.number(v.name); err != nil {
			return nil, err
		}
	}
	return int64(days * 86400 * float64(s.nodes) * series / interval * bytesPerSample), nil
}
