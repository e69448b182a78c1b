package job

// tape has the console of the machine recorded in its timeline while the job
// is at it, if that was asked for. That it is not is a note and no failure.
// The session is the recorder's: the job's own conversations come and go
// beside it.
func (t *turn) tape() {
	if !t.in.options.Console || t.stopTape != nil {
		return
	}
	t.stopTape = func() {}
	record := t.in.r.c.Record
	if record == nil {
		t.add("its console is not recorded: consoles are recorded by a daemon")
		return
	}
	stop, err := record(t.node)
	if err != nil {
		t.add("its console is not recorded: " + err.Error())
		return
	}
	t.stopTape = stop
}

func (t *turn) endTape() {
	if t.stopTape != nil {
		t.stopTape()
	}
}
