package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/hashicorp/vault/api"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/gcpsm"
	"github.com/oauthstore/oauthstore/vault"
)

// service is a store, and what the tour wants to show of what is below it.
type service struct {
	title    string
	store    oauthstore.TokenStore
	requests func() int // so far, the client's retries included
	secrets  func(context.Context) (names, error)
	close    func()
}

// names prints one name a line.
type names []string

// String implements fmt.Stringer.
func (n names) String() string {
	if len(n) == 0 {
		return "none"
	}
	return strings.Join(n, "\n    ")
}

var services = map[string]func(ctx context.Context, prefix string) (service, error){
	"embedded": embedded,
	"aws":      onAWS,
	"vault":    onVault,
	"google":   onGoogle,
}

// embedded is a test server in this process, which speaks Secrets Manager's protocol to the AWS SDK.
func embedded(_ context.Context, prefix string) (service, error) {
	srv := awssmtest.NewServer()
	store, err := awssm.New(srv.Client(), awssm.WithPrefix(prefix))
	return service{
		title:    "a test server for AWS Secrets Manager in this process, at " + srv.URL(),
		store:    store,
		requests: func() int { return srv.Count() },
		secrets: func(context.Context) (names, error) {
			var all names
			for _, s := range srv.Secrets() {
				all = append(all, s.Name)
			}
			return all, nil
		},
		close: srv.Close,
	}, err
}

func onAWS(ctx context.Context, prefix string) (service, error) {
	var requests atomic.Int64
	count := middleware.DeserializeMiddlewareFunc("count", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
		middleware.DeserializeOutput, middleware.Metadata, error) {
		requests.Add(1) // once for each try
		return next.HandleDeserialize(ctx, in)
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithAPIOptions([]func(*middleware.Stack) error{
		func(s *middleware.Stack) error { return s.Deserialize.Add(count, middleware.Before) },
	}))
	if err != nil {
		return service{}, err
	}
	client := secretsmanager.NewFromConfig(cfg)
	store, err := awssm.New(client, awssm.WithPrefix(prefix))
	return service{
		title:    "AWS Secrets Manager in " + cfg.Region,
		store:    store,
		requests: func() int { return int(requests.Load()) },
		secrets:  func(ctx context.Context) (names, error) { return listAWS(ctx, client, prefix) },
		close:    func() {},
	}, err
}

// listAWS lists secrets by name. The list lags behind by up to five minutes.
func listAWS(ctx context.Context, client *secretsmanager.Client, prefix string) (names, error) {
	var all names
	pages := secretsmanager.NewListSecretsPaginator(client, &secretsmanager.ListSecretsInput{
		Filters: []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{prefix}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range page.SecretList {
			all = append(all, aws.ToString(s.Name))
		}
	}
	return all, nil
}

func onVault(_ context.Context, prefix string) (service, error) {
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return service{}, cfg.Error
	}
	transport := &countingTransport{next: cfg.HttpClient.Transport}
	cfg.HttpClient.Transport = transport
	client, err := api.NewClient(cfg)
	if err != nil {
		return service{}, err
	}
	mount := cmp.Or(os.Getenv("VAULT_KV_MOUNT"), "secret")
	store, err := vault.New(client, vault.WithMount(mount), vault.WithPrefix(prefix))
	return service{
		title:    "Vault at " + client.Address(),
		store:    store,
		requests: transport.count,
		secrets: func(ctx context.Context) (names, error) {
			list, err := client.Logical().ListWithContext(ctx, mount+"/metadata/"+prefix)
			if err != nil || list == nil {
				return nil, err
			}
			keys, _ := list.Data["keys"].([]any)
			var all names
			for _, k := range keys {
				all = append(all, fmt.Sprintf("%s/%s/%v", mount, prefix, k))
			}
			return all, nil
		},
		close: func() {},
	}, err
}

func onGoogle(ctx context.Context, prefix string) (service, error) {
	project := os.Getenv("GOOGLE_CLOUD_PROJECT")
	if project == "" {
		return service{}, errors.New("GOOGLE_CLOUD_PROJECT is not set")
	}
	var requests atomic.Int64
	opts := []option.ClientOption{option.WithGRPCDialOption(grpc.WithUnaryInterceptor(
		func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption) error {
			requests.Add(1)
			return call(ctx, method, req, reply, conn, o...)
		}))}
	if host := os.Getenv("SECRET_MANAGER_EMULATOR_HOST"); host != "" {
		opts = append(opts, option.WithEndpoint(host), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	}
	client, err := secretmanager.NewClient(ctx, opts...)
	if err != nil {
		return service{}, err
	}
	store, err := gcpsm.New(client, project, gcpsm.WithPrefix(prefix))
	return service{
		title:    "Google Cloud Secret Manager, project " + project,
		store:    store,
		requests: func() int { return int(requests.Load()) },
		secrets:  func(ctx context.Context) (names, error) { return listGoogle(ctx, client, project, prefix) },
		close:    func() { _ = client.Close() },
	}, err
}

// listGoogle lists secrets by name. The list may lag behind.
func listGoogle(ctx context.Context, client *secretmanager.Client, project, prefix string) (names, error) {
	var all names
	list := client.ListSecrets(ctx, &secretmanagerpb.ListSecretsRequest{Parent: "projects/" + project, Filter: "name:" + prefix})
	for {
		s, err := list.Next()
		if errors.Is(err, iterator.Done) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s.GetName())
	}
}

// countingTransport counts requests.
type countingTransport struct {
	next http.RoundTripper
	n    atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (t *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.n.Add(1)
	return t.next.RoundTrip(r)
}

func (t *countingTransport) count() int { return int(t.n.Load()) }
