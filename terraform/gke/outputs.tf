output "cluster_name" {
  description = "Name of the cluster."
  value       = google_container_cluster.this.name
}

output "cluster_id" {
  description = "Full name of the cluster."
  value       = google_container_cluster.this.id
}

output "cluster_location" {
  description = "Region of the cluster."
  value       = google_container_cluster.this.location
}

output "cluster_endpoint" {
  description = "Address of the control plane."
  value       = google_container_cluster.this.endpoint
  sensitive   = true
}

output "cluster_ca_certificate" {
  description = "Certificate of the control plane, base64."
  value       = google_container_cluster.this.master_auth[0].cluster_ca_certificate
  sensitive   = true
}

output "project_id" {
  description = "Project."
  value       = var.project_id
}

output "region" {
  description = "Region."
  value       = var.region
}

output "network_name" {
  description = "Name of the network."
  value       = var.network
}

output "subnetwork_name" {
  description = "Name of the subnetwork."
  value       = var.subnetwork
}

output "kubectl_command" {
  description = "Command that makes kubectl speak to the cluster."
  value       = "gcloud container clusters get-credentials ${google_container_cluster.this.name} --region ${google_container_cluster.this.location} --project ${var.project_id}"
}

output "kubernetes_host" {
  description = "Address of the control plane, as providers of Kubernetes and Helm want it. Their token is that of whoever asks (gcloud auth print-access-token), and is in no state."
  value       = "https://${google_container_cluster.this.endpoint}"
  sensitive   = true
}

output "cpu_node_pool_name" {
  description = "Name of the pool without GPUs."
  value       = google_container_node_pool.cpu.name
}

output "gpu_node_pool_names" {
  description = "Names of pools with GPUs."
  value       = [for pool in google_container_node_pool.gpu : pool.name]
}

output "gpu_node_pools" {
  description = "Pools with GPUs, as they were asked for."
  value       = var.gpu_node_pools
}

output "gpu_node_pool_disk_sizes_gb" {
  description = "Disk of a node of each pool with GPUs, of which a worker's cache is a part, in GB."
  value       = { for pool in var.gpu_node_pools : pool.name => pool.disk_size_gb }
}

output "gke_nodes_service_account" {
  description = "Email of the nodes' account."
  value       = google_service_account.nodes.email
}

output "sie_workload_service_account" {
  description = "Email of the workers' account."
  value       = google_service_account.workers.email
}

output "workload_identity_annotation" {
  description = "Annotation of the workers' Kubernetes service account, as key=email."
  value       = "iam.gke.io/gcp-service-account=${google_service_account.workers.email}"
}

output "model_cache_bucket_name" {
  description = "Name of the bucket; null where there is none."
  value       = one(google_storage_bucket.models[*].name)
}

output "model_cache_bucket_url" {
  description = "What the chart's workers.common.clusterCache.url wants; null where there is no bucket."
  value       = one([for bucket in google_storage_bucket.models : "${bucket.url}/models"])
}

output "model_cache_helm_args" {
  description = "Arguments of helm that make workers use the bucket."
  value = join(" ", [
    for bucket in google_storage_bucket.models :
    "--set workers.common.clusterCache.enabled=true --set workers.common.clusterCache.url=${bucket.url}/models"
  ])
}

output "payload_store_url" {
  description = "Where large payloads may be kept; null where there is no bucket."
  value       = one([for bucket in google_storage_bucket.models : "${bucket.url}/payloads"])
}

output "artifact_registry_url" {
  description = "What the chart's image.registry wants, for images of one's own; null where there is no registry."
  value       = local.registry_url
}

output "artifact_registry_server_repository_url" {
  description = "Where images of workers are pushed; null where there is no registry."
  value       = one([for url in local.registry_url[*] : "${url}/sie-worker"])
}

output "artifact_registry_gateway_repository_url" {
  description = "Where images of the gateway are pushed; null where there is no registry."
  value       = one([for url in local.registry_url[*] : "${url}/sie-gateway"])
}

output "artifact_registry_config_repository_url" {
  description = "Where images of the config service are pushed; null where there is no registry."
  value       = one([for url in local.registry_url[*] : "${url}/sie-config"])
}
