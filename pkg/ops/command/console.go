package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/ops/console"
)

func init() { register(consoleCommand) }

func consoleCommand(p *program) *cobra.Command {
	var write bool
	var port int
	c := &cobra.Command{
		Use:   "console -stack NAME",
		Short: "Look into a deployed stack in the browser",
		Long: "Serve pages that show a deployed stack, on 127.0.0.1 only, until Ctrl-C, and print their address.\n" +
			"They only read, with your own credentials, unless -write allows actions, each of which asks for the\n" +
			"stack's name. Texts, names and numbers of persons are masked until you show them. The laptop's\n" +
			"stack has a console at its control address.",
		RunE: func(c *cobra.Command, _ []string) error { return p.serveConsole(c.Context(), port, write) },
	}
	c.Flags().BoolVar(&write, "write", set("WRITE"), "allow actions (or WRITE=1)")
	c.Flags().IntVar(&port, "port", 8090, "port on 127.0.0.1; 0: any that is free")
	return needs(c, "dynamodb:DescribeTable dynamodb:GetItem dynamodb:Query dynamodb:PartiQLSelect dynamodb:Scan dynamodb:ListStreams dynamodb:DescribeStream dynamodb:GetShardIterator dynamodb:GetRecords "+
		"sqs:GetQueueAttributes lambda:ListEventSourceMappings secretsmanager:ListSecretVersionIds cloudwatch:GetMetricData events:PutEvents "+
		"dynamodb:PutItem dynamodb:BatchWriteItem dynamodb:DeleteItem sqs:ReceiveMessage sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:SendMessage lambda:InvokeFunction "+
		"dynamodb:UpdateItem scheduler:DeleteSchedule secretsmanager:GetSecretValue")
}

// ending is how long pages under way may take when the console ends.
const ending = time.Second

func (p *program) serveConsole(ctx context.Context, port int, write bool) error {
	o, err := p.operate(ctx)
	if err != nil {
		return err
	}
	if o.target.local() {
		p.printf("The laptop's console: %s\n", o.target.env["CONTROL_URL"])
		return nil
	}
	shown, err := console.New(console.Config{
		Operator: o, Feed: console.NewFeed(), Follow: o.follow, Series: o.series, Token: console.NewToken(), Write: write,
	})
	if err != nil {
		return err
	}
	defer func() {
		if err := shown.Close(); err != nil {
			p.printf("Cut: %s.\n", err)
		}
	}()
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return fmt.Errorf("port %d is not free: %w. Choose a different one with -port (PORT for make)", port, err)
	}
	server := &http.Server{Handler: shown, ReadHeaderTimeout: 10 * time.Second}
	p.printf("Open http://%s/?token=%s in a browser. Ctrl-C ends it.\n", l.Addr(), shown.Token)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), ending)
		defer cancel()
		_ = server.Shutdown(ending)
		_ = server.Close()
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ended
	return nil
}
