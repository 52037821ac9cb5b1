package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/go-resty/resty/v2"
	"github.com/spf13/cobra"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/table"
)

func init() { register(smokeCommand) }

func smokeCommand(p *program) *cobra.Command {
	var sender string
	c := &cobra.Command{
		Use:   "smoke -stack NAME|local",
		Short: "Try a stack as its users do",
		Long: `Try a stack as its users do: an event is received, stored, and published on the event bus; a message goes
out over HTTP, through the outbound queue, the bulk lane where there is one, and by a rule of the bus. Messages go to the Gateway's
sandbox (is_fake). Each line says ok, or what to do; one warns if messages were accepted and no status
came, as far as the first 20,000 items of the table show; one does instead of trying a queue that is paused.
No secret is printed.

Its temporary rule of the bus and its events are removed at the end. Not tried: the
mails of alarms.`,
		RunE: func(c *cobra.Command, _ []string) error { return p.smoke(c.Context(), sender) },
	}
	c.Flags().StringVar(&sender, "sender", "", "name of the number to send from, where the Gateway's secret names several")
	return needs(c, "secretsmanager:GetSecretValue dynamodb:Query dynamodb:Scan dynamodb:DeleteItem sqs:SendMessage lambda:ListEventSourceMappings "+
		"events:PutRule events:PutTargets events:RemoveTargets events:DeleteRule events:PutEvents")
}

const (
	requestLimit = 35 * time.Second
	answerLimit  = 1 << 20
	cleanLimit   = 30 * time.Second
	aClient      = "default" // name of the first client, on the laptop and in AWS
	recipient    = "15550100001"
)

// How long a message may take through the queue, and an event to a rule: a new rule in AWS takes
// effect after some time.
const (
	queueLimit = time.Minute
	ruleLimit  = 3 * time.Minute
	emitEvery  = 15 * time.Second
)

// lookEvery is how often the message is looked up meanwhile.
var lookEvery = time.Second

// smoke is one run of the command.
type smoke struct {
	*program
	target        *target
	table         *table.Table
	client        *resty.Client
	webhook, send string // addresses
	secret, key   string // bearer tokens
	sender        string // empty: the default
	mark          string // in everything that the run creates
	failed        bool
	warned        bool
}

func (s *smoke) ok(text string)  { s.printf("ok      %s\n", text) }
func (s *smoke) off(text string) { s.printf("off     %s\n", text) }

func (s *smoke) warn(what, do string) {
	s.printf("WARNING %s\n        -> %s\n", what, do)
	s.warned = true
}

func (s *smoke) bad(what, do string) {
	s.printf("FAILED  %s\n        -> %s\n", what, do)
	s.failed = true
}

func (p *program) smoke(ctx context.Context, sender string) error {
	t, err := p.find(ctx)
	if err != nil {
		return err
	}
	s := &smoke{program: p, target: t, sender: sender, mark: fmt.Sprintf("smoke-%d", time.Now().UnixNano())}
	if s.table, err = t.table(); err != nil {
		return err
	}
	if err := s.addresses(ctx); err != nil {
		return err
	}
	defer s.clean(ctx)
	if !s.receives(ctx) {
		return errSaid
	}
	s.refuses(ctx)
	s.gateway(ctx)
	if s.sends(ctx) {
		tried := s.queue(ctx, "outbound queue", outboundQueue, s.target.named("QUEUE_URL", "QueueUrl"), "-queue")
		if bulk := s.target.named("BULK_QUEUE_URL", "BulkQueueUrl"); bulk != "" {
			s.queue(ctx, "bulk lane", bulkQueue, bulk, "-bulk")
		}
		if tried {
			s.events(ctx)
		} else {
			s.off("the bus and the pipe are not tried, because their messages go through the outbound queue")
		}
	} else {
		s.off("the queue, the bus and the pipe are not tried, because they need a message to be sent")
	}
	s.clean(ctx)
	s.statuses(ctx)
	if s.failed {
		return errSaid
	}
	if !s.warned {
		s.printf("All is well.\n")
	}
	return nil
}

func (s *smoke) addresses(ctx context.Context) (err error) {
	t := s.target
	if s.client, s.webhook, s.send, err = t.endpoints(); err != nil {
		return err
	}
	if t.local() {
		s.secret, s.key = t.env["WEBHOOK_SECRET"], t.env["CLIENT_KEY"]
		return nil
	}
	if s.secret, err = t.secret(ctx, "WebhookSecret"); err != nil {
		return err
	}
	s.key, err = t.clientKey(ctx, aClient)
	return err
}

// endpoints returns the stack's addresses, and what makes requests of them.
func (t *target) endpoints() (client *resty.Client, webhook, send string, err error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	webhook, send = t.outputs["WebhookUrl"], t.outputs["SendUrl"]
	if t.local() {
		transport.Proxy = nil
		webhook, send = t.env["API_URL"]+"/webhook", t.env["API_URL"]+"/v1/wa/message"
	} else if webhook == "" || send == "" {
		return nil, "", "", fmt.Errorf("the stack %s has no outputs WebhookUrl and SendUrl", t.name)
	}
	return resty.NewWithClient(&http.Client{Timeout: requestLimit, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a redirect does not come from the stack
	}}).SetResponseBodyLimit(answerLimit), webhook, send, nil
}

// secret reads a secret by its logical name.
func (t *target) secret(ctx context.Context, name string) (string, error) {
	id := name
	if !t.local() {
		id = t.resources[name]
	}
	out, err := t.secrets().GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", fmt.Errorf("the secret %s cannot be read: %w", name, why(err))
	}
	if out.SecretString == nil {
		return "", fmt.Errorf("the secret %s is not text", name)
	}
	return *out.SecretString, nil
}

// clientKey reads a client's key.
func (t *target) clientKey(ctx context.Context, client string) (string, error) {
	text, err := t.secret(ctx, "ClientKeysSecret")
	if err != nil {
		return "", err
	}
	key := auth.FirstKey(text, client)
	if key == "" {
		return "", fmt.Errorf(`the client keys have no client named %s. Add a key for it: {%q:"..."}`, client, client)
	}
	return key, nil
}

// reply is the result of a request. Its String distinguishes a missing response, from which nothing
// may be concluded.
type reply struct {
	status int // 0: no response
	body   string
	err    error
}

func (r reply) String() string {
	if r.status == 0 {
		return "gets no response: " + why(r.err).Error()
	}
	return strings.TrimSpace(fmt.Sprintf("returns %d: %.300s", r.status, strings.Join(strings.Fields(r.body), " ")))
}

func (s *smoke) request(ctx context.Context, method, address, token, key, body string) reply {
	request := s.client.R().SetContext(ctx).SetAuthToken(token).SetHeader("Content-Type", "application/json").SetBody(body)
	if key != "" {
		request.SetHeader("Idempotency-Key", key)
	}
	if key != "" && s.sender != "" {
		request.SetHeader("Sender", s.sender)
	}
	response, err := request.Execute(method, address)
	if err != nil {
		return reply{err: err}
	}
	return reply{status: response.StatusCode(), body: response.String()}
}

// status returns a notification of a unique status.
func (s *smoke) status(wamid string, at time.Time) string {
	return fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"smoke","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",`+
		`"metadata":{"phone_number_id":"smoke"},"statuses":[{"id":%q,"status":"sent","timestamp":"%d"}]}}]}]}`, wamid, at.Unix())
}

func (s *smoke) message() string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","to":%q,"type":"text","text":{"body":%q}}`, recipient, s.mark)
}

const webhookLogs = "look at the webhook function's log group"

// receives tries receiving; false means that nothing responds, so that nothing else can be tried.
func (s *smoke) receives(ctx context.Context) bool {
	switch r := s.request(ctx, http.MethodPost, s.webhook, s.secret, "", s.status(s.mark, time.Now())); {
	case r.status == 0 && s.target.local():
		s.bad(fmt.Sprintf("the stack is not running: nothing responds at %s", s.webhook), "make run, in another terminal")
		return false
	case r.status == 0:
		s.bad("an event "+r.String(), "the network between this machine and the stack, or the stack's API, is not available: "+s.webhook)
		return false
	case r.status != http.StatusOK:
		s.bad("an event "+r.String(), "for SVC_001, run the command in the response; otherwise "+webhookLogs)
		return true
	}
	s.ok("an event with the webhook secret is accepted")
	rows, err := s.table.Under(ctx, "wa#"+s.mark)
	switch {
	case err != nil:
		s.bad("the table cannot be read: "+why(err).Error(), "your own credentials need dynamodb:Query for this")
	case len(rows) != 1:
		s.bad(fmt.Sprintf("the table %s has %d items for it, not one", s.table.Name(), len(rows)), webhookLogs)
	default:
		s.ok("it is in the table")
	}
	return true
}

func (s *smoke) refuses(ctx context.Context) {
	switch r := s.request(ctx, http.MethodPost, s.webhook, "wrong", "", s.status(s.mark, time.Now())); {
	case r.status == http.StatusUnauthorized:
		s.ok("a wrong token is refused")
	case r.status/100 == 2:
		s.bad("a wrong token "+r.String(), "do not connect this endpoint: it accepts everyone")
	case r.status == 0:
		s.bad("a wrong token "+r.String(), "the stack responded before, so run this again")
	default:
		s.bad("a wrong token "+r.String()+", which is not the refusal 401", "it was not accepted; "+webhookLogs)
	}
}

const sendLogs = "look at the send function's log group"

// sends tries sending over HTTP.
func (s *smoke) sends(ctx context.Context) bool {
	post := func() reply {
		return s.request(ctx, http.MethodPost, s.send+"?is_fake=true", s.key, s.mark, s.message())
	}
	switch r := post(); r.status {
	case http.StatusOK:
		s.ok("a message is sent in the Gateway's sandbox")
	case http.StatusForbidden:
		s.bad("a message "+r.String(), "for SENDER_001, say which number: make smoke SENDER=<a sender of the secret GatewayKeySecret>")
		return false
	case http.StatusServiceUnavailable:
		s.bad("a message "+r.String(), "run the command in the response; for SVC_003, put an API key that the Gateway accepts")
		return false
	default:
		s.bad("a message "+r.String(), "README.md explains the code; 402 means that the Gateway's balance is too low")
		return false
	}
	again := post()
	var answer struct {
		Data struct{ Messages []struct{ ID string } }
	}
	_ = json.Unmarshal([]byte(again.body), &answer) // without an id the look-up fails, and reports it
	wamid := ""
	if len(answer.Data.Messages) > 0 {
		wamid = answer.Data.Messages[0].ID
	}
	r := s.await(ctx, "Waiting for the index", "?wamid="+wamid, queueLimit, nil) // the index lags behind the table
	if seen(r) {
		s.ok("its look-up works, and a repeat did not send it again")
	} else {
		s.bad("its look-up "+r.String(), sendLogs)
	}
	return true
}

// seen reports whether a look-up says that a message was accepted by one attempt.
func seen(r reply) bool {
	var answer struct {
		Data struct {
			State    string
			Attempts int
		}
	}
	return r.status == http.StatusOK && json.Unmarshal([]byte(r.body), &answer) == nil && answer.Data.State == "accepted" && answer.Data.Attempts == 1
}

// await looks a message up until it was accepted or time runs out. It calls meanwhile now and then,
// unless it is nil.
func (s *smoke) await(ctx context.Context, what, which string, limit time.Duration, meanwhile func()) reply {
	shown := s.progress(what, 0)
	defer shown.end()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	last := reply{err: errors.New("no time was left")}
	for next := time.Now(); ; {
		if meanwhile != nil && !time.Now().Before(next) {
			meanwhile()
			next = time.Now().Add(emitEvery)
		}
		r := s.request(ctx, http.MethodGet, s.send+which, s.key, "", "")
		if r.status != 0 || ctx.Err() == nil {
			last = r
		}
		shown.add(1)
		if seen(r) || pause.For(ctx, lookEvery) != nil {
			return last
		}
	}
}

// envelope returns a message in the queue's format.
func (s *smoke) envelope(key string) string {
	from := ""
	if s.sender != "" {
		from = fmt.Sprintf(`"sender":%q,`, s.sender)
	}
	return fmt.Sprintf(`{"idempotencyKey":"%s","reader":%q,%s"isFake":true,"message":%s}`, key, aClient, from, s.message())
}

// queued returns the look-up address of a queued message with a key.
func queued(key string) string { return "/" + ledger.ID("sqs", key) }

// queue tries a lane, unless it is paused: the queue of a logical name, at an address, with a key of
// this suffix.
func (s *smoke) queue(ctx context.Context, lane, name, address, suffix string) (tried bool) {
	// Where the mapping cannot be read, the message shows whether it works.
	if m, err := s.target.mapping(ctx, name); err == nil && aws.ToString(m.State) == mappingDisabled {
		s.warn("the "+lane+" is paused, and was not tried", "make campaign DO=resume, once it may send again")
		return false
	}
	key := s.mark + suffix
	body := s.envelope(key)
	if _, err := s.target.sqs().SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &address, MessageBody: &body}); err != nil {
		s.bad("the "+lane+" does not accept a message: "+why(err).Error(), "your own credentials need sqs:SendMessage for this")
		return true
	}
	if r := s.await(ctx, "Waiting for the "+lane, queued(key), queueLimit, nil); seen(r) {
		s.ok("a message is sent through the " + lane)
	} else {
		s.bad("a message of the "+lane+": its look-up "+r.String(), sendLogs)
	}
	return true
}

// clean removes the events from the table.
func (s *smoke) clean(ctx context.Context) {
	if s.mark == "" {
		return
	}
	mark := s.mark
	s.mark = ""
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
	defer cancel()
	n := 0
	for _, wamid := range []string{mark, mark + pipeSuffix} {
		rows, err := s.table.Under(ctx, "wa#"+wamid)
		for _, row := range rows {
			if err == nil {
				err = s.table.Remove(ctx, row)
			}
			n++
		}
		if err != nil {
			s.bad("its events cannot be removed: "+why(err).Error(), "your own credentials need dynamodb:DeleteItem for this; they do no harm")
			return
		}
	}
	if n > 0 {
		s.ok("its events are removed")
	}
}
