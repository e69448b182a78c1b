package bmcsim

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	taskService = root + "/TaskService"
	tasksPath   = taskService + "/Tasks"
	monitors    = taskService + "/TaskMonitors"
)

// maxTasks is how many are remembered.
const maxTasks = 20

type task struct {
	id, name string
	started  time.Time
}

// done answers an action that succeeded, or not: at once, or with a task that
// shows it later (DSP0266 section 12.2).
func (b *BMC) done(name string, p *problem) reply {
	if p != nil {
		return reply{err: p}
	}
	if !b.config.Tasks {
		return reply{status: http.StatusNoContent}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastID++
	t := &task{id: strconv.Itoa(b.lastID), name: name, started: b.config.Now()}
	b.tasks = append(b.tasks, t)
	if len(b.tasks) > maxTasks {
		b.tasks = slices.Delete(b.tasks, 0, 1)
	}
	return reply{
		status: http.StatusAccepted,
		header: map[string]string{"Location": monitors + "/" + t.id, "Retry-After": "1"},
		body:   b.view(b.task(t), tasksPath+"/"+t.id),
	}
}

func (b *BMC) running(t *task) bool { return b.config.Now().Before(t.started.Add(b.config.Task)) }

func (b *BMC) task(t *task) resource {
	return resource{kind: "Task.v1_7_4.Task", get: func() object {
		o := object{
			"Name": t.name, "TaskState": "Running", "TaskStatus": "OK", "PercentComplete": 50, "StartTime": t.started.UTC().Format(time.RFC3339),
			"TaskMonitor": monitors + "/" + t.id, "Messages": []object{}, "HidePayload": true,
		}
		if !b.running(t) {
			o["TaskState"], o["PercentComplete"] = "Completed", 100
			o["EndTime"] = t.started.Add(b.config.Task).UTC().Format(time.RFC3339)
			o["Messages"] = []object{success().info()}
		}
		return o
	}}
}

// monitor answers 202 while the task runs, and then what the action would
// have answered.
func (b *BMC) monitor(t *task) resource {
	return resource{raw: func(w http.ResponseWriter) {
		b.mu.Lock()
		running := b.running(t)
		b.mu.Unlock()
		if running {
			w.Header().Set("Location", monitors+"/"+t.id)
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}}
}

func (b *BMC) taskPaths() []string {
	paths := make([]string, len(b.tasks))
	for i, t := range b.tasks {
		paths[i] = tasksPath + "/" + t.id
	}
	return paths
}
